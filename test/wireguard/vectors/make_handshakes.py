"""Makes handshakes.json: WireGuard handshakes by an implementation that shares nothing with ours.

Written from the WireGuard paper (section 5.4), RFC 7748 (X25519), RFC 8439 (ChaCha20-Poly1305),
draft-irtf-cfrg-xchacha-03 and RFC 7693 (BLAKE2s, by Python's hashlib). Needs Python 3.8 and nothing else:

    python3 make_handshakes.py > handshakes.json
"""

import hashlib
import hmac
import json
import struct

P = 2**255 - 19


def x25519(private, public):
    k = int.from_bytes(private, "little")
    k = (k & ~7 & ~(128 << 8 * 31)) | (64 << 8 * 31)
    x1 = int.from_bytes(public, "little") & (2**255 - 1)
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for t in range(254, -1, -1):
        bit = (k >> t) & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b = (x2 + z2) % P, (x2 - z2) % P
        aa, bb = a * a % P, b * b % P
        e = (aa - bb) % P
        da, cb = (x3 - z3) * a % P, (x3 + z3) * b % P
        x3, z3 = (da + cb) ** 2 % P, x1 * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def public_key(private):
    return x25519(private, (9).to_bytes(32, "little"))


def rotate(v, n):
    return ((v << n) | (v >> (32 - n))) & 0xFFFFFFFF


def chacha_rounds(state):
    s = list(state)
    for _ in range(10):
        for a, b, c, d in (
            (0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
            (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14),
        ):
            s[a] = (s[a] + s[b]) & 0xFFFFFFFF; s[d] = rotate(s[d] ^ s[a], 16)
            s[c] = (s[c] + s[d]) & 0xFFFFFFFF; s[b] = rotate(s[b] ^ s[c], 12)
            s[a] = (s[a] + s[b]) & 0xFFFFFFFF; s[d] = rotate(s[d] ^ s[a], 8)
            s[c] = (s[c] + s[d]) & 0xFFFFFFFF; s[b] = rotate(s[b] ^ s[c], 7)
    return s


SIGMA = struct.unpack("<4I", b"expand 32-byte k")


def chacha_block(key, counter, nonce):
    state = SIGMA + struct.unpack("<8I", key) + (counter,) + struct.unpack("<3I", nonce)
    return struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(chacha_rounds(state), state)))


def hchacha(key, nonce):
    s = chacha_rounds(SIGMA + struct.unpack("<8I", key) + struct.unpack("<4I", nonce))
    return struct.pack("<8I", *(s[:4] + s[12:]))


def poly1305(key, data):
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    a = 0
    for i in range(0, len(data), 16):
        a = (a + int.from_bytes(data[i:i + 16] + b"\1", "little")) * r % (2**130 - 5)
    return ((a + int.from_bytes(key[16:], "little")) % 2**128).to_bytes(16, "little")


def aead(key, nonce, text, data):
    stream = b"".join(chacha_block(key, 1 + i, nonce) for i in range((len(text) + 63) // 64))
    sealed = bytes(a ^ b for a, b in zip(text, stream))
    pad = lambda b: b + bytes(-len(b) % 16)
    lengths = struct.pack("<QQ", len(data), len(sealed))
    return sealed + poly1305(chacha_block(key, 0, nonce)[:32], pad(data) + pad(sealed) + lengths)


def xaead(key, nonce, text, data):
    return aead(hchacha(key, nonce[:16]), bytes(4) + nonce[16:], text, data)


def hash_(*parts):
    return hashlib.blake2s(b"".join(parts)).digest()


def mac(key, data):
    return hashlib.blake2s(data, key=key, digest_size=16).digest()


def kdf(key, data, n):
    h = lambda k, d: hmac.new(k, d, hashlib.blake2s).digest()
    t0, t, out = h(key, data), b"", []
    for i in range(1, n + 1):
        t = h(t0, t + bytes([i]))
        out.append(t)
    return out


def handshake(c):
    i_static, r_static = c["initiatorStatic"], c["responderStatic"]
    i_ephemeral, r_ephemeral = c["initiatorEphemeral"], c["responderEphemeral"]
    i_public, r_public = public_key(i_static), public_key(r_static)
    zero = bytes(12)

    chain = hash_(b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s")
    h = hash_(hash_(chain, b"WireGuard v1 zx2c4 Jason@zx2c4.com"), r_public)
    e = public_key(i_ephemeral)
    chain, = kdf(chain, e, 1)
    h = hash_(h, e)
    chain, key = kdf(chain, x25519(i_ephemeral, r_public), 2)
    sealed_static = aead(key, zero, i_public, h)
    h = hash_(h, sealed_static)
    chain, key = kdf(chain, x25519(i_static, r_public), 2)
    sealed_timestamp = aead(key, zero, c["timestamp"], h)
    h = hash_(h, sealed_timestamp)
    initiation = struct.pack("<II", 1, c["initiatorIndex"]) + e + sealed_static + sealed_timestamp
    initiation += mac(hash_(b"mac1----", r_public), initiation)
    with_cookie = initiation + mac(c["cookie"], initiation)
    cookie_reply = struct.pack("<II", 3, c["initiatorIndex"]) + c["cookieNonce"]
    cookie_reply += xaead(hash_(b"cookie--", r_public), c["cookieNonce"], c["cookie"], initiation[116:132])
    initiation += bytes(16)

    e = public_key(r_ephemeral)
    chain, = kdf(chain, e, 1)
    h = hash_(h, e)
    chain, = kdf(chain, x25519(r_ephemeral, public_key(i_ephemeral)), 1)
    chain, = kdf(chain, x25519(r_ephemeral, i_public), 1)
    chain, tau, key = kdf(chain, c["presharedKey"], 3)
    h = hash_(h, tau)
    response = struct.pack("<III", 2, c["responderIndex"], c["initiatorIndex"]) + e + aead(key, zero, b"", h)
    response += mac(hash_(b"mac1----", i_public), response)
    response += bytes(16)
    i_key, r_key = kdf(chain, b"", 2)
    return {
        "initiatorPublic": i_public, "responderPublic": r_public, "initiation": initiation,
        "cookieReply": cookie_reply, "initiationWithCookie": with_cookie, "response": response,
        "initiatorSendKey": i_key, "responderSendKey": r_key,
    }


def tai64n(unix_seconds, nanoseconds):
    return struct.pack(">QI", 2**62 + 10 + unix_seconds, nanoseconds)


def seed(name):
    return hashlib.sha256(name.encode()).digest()


def case(name, preshared_key):
    given = {
        "initiatorStatic": seed(name + " initiator static"),
        "responderStatic": seed(name + " responder static"),
        "initiatorEphemeral": seed(name + " initiator ephemeral"),
        "responderEphemeral": seed(name + " responder ephemeral"),
        "presharedKey": preshared_key,
        "unixMs": 1700000000500,
        # Half a second in whole steps of 2^24 nanoseconds.
        "timestamp": tai64n(1700000000, 500000000 // 2**24 * 2**24),
        # The low 20 bits are row 0 of each side, the high 12 what the random bytes 0x12 0x34 leave.
        "initiatorIndex": 0x23400000,
        "responderIndex": 0x23400000,
        "cookie": seed(name + " cookie")[:16],
        "cookieNonce": (seed(name + " nonce"))[:24],
    }
    whole = {"name": name, **given, **handshake(given)}
    return {k: v.hex() if isinstance(v, bytes) else v for k, v in whole.items()}


# RFC 7748 section 5.2 and RFC 8439 section 2.8.2 stand guard over the primitives above.
assert x25519(
    bytes.fromhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
    bytes.fromhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"),
).hex() == "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"
assert aead(
    bytes(range(0x80, 0xA0)), bytes.fromhex("070000004041424344454647"),
    b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
    bytes.fromhex("50515253c0c1c2c3c4c5c6c7"),
)[-16:].hex() == "1ae10b594f09e26a7e902ecbd0600691"

print(json.dumps([case("without a preshared key", bytes(32)), case("with a preshared key", seed("preshared"))], indent=2))
