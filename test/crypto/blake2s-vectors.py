#!/usr/bin/env python3
"""Writes blake2s-vectors.json with Python's hashlib and hmac (OpenSSL's and the reference's BLAKE2s)."""

import hashlib
import hmac
import json
import os


def pattern(length, factor):
    """Bytes that differ from length to length, as in appendix E of RFC 7693."""
    a, b, result = (0xDEAD4BAD * factor) & 0xFFFFFFFF, 1, bytearray()
    for _ in range(length):
        t = (a + b) & 0xFFFFFFFF
        a, b = b, t
        result.append(t >> 24)
    return bytes(result)


def hmac_blake2s(key, data):
    return hmac.new(key, data, hashlib.blake2s).digest()


def kdf(chaining_key, data):
    pseudo_random_key, keys, previous = hmac_blake2s(chaining_key, data), [], b""
    for i in (1, 2, 3):
        previous = hmac_blake2s(pseudo_random_key, previous + bytes([i]))
        keys.append(previous.hex())
    return keys


lengths = [0, 1, 3, 32, 55, 63, 64, 65, 127, 128, 129, 255, 256, 1000]
vectors = {
    "source": "blake2s-vectors.py",
    "hash": [],
    "mac": [],
    "hmac": [],
    "kdf": [],
}
for length in lengths:
    data = pattern(length, length + 1)
    vectors["hash"].append({"data": data.hex(), "result": hashlib.blake2s(data).hexdigest()})
    for key_length in (1, 16, 32):
        key = pattern(key_length, key_length)
        result = hashlib.blake2s(data, key=key, digest_size=16).hexdigest()
        vectors["mac"].append({"key": key.hex(), "data": data.hex(), "result": result})
    for key_length in (0, 32, 64, 65, 130):
        key = pattern(key_length, key_length + 7)
        vectors["hmac"].append({"key": key.hex(), "data": data.hex(), "result": hmac_blake2s(key, data).hex()})
    chaining_key = pattern(32, length + 3)
    vectors["kdf"].append({"chainingKey": chaining_key.hex(), "data": data.hex(), "result": kdf(chaining_key, data)})

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "blake2s-vectors.json"), "w") as file:
    json.dump(vectors, file, indent=1)
    file.write("\n")
