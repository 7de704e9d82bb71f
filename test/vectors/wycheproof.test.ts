/** Project Wycheproof's vectors (C2SP/wycheproof, testvectors_v1), over everything in src/crypto that computes the same. */

import { describe, expect, test } from "bun:test";
import { concatBytes, formatHex, isAllZero, parseHex } from "../../src/base/bytes.ts";
import {
  openChaCha20Poly1305,
  openXChaCha20Poly1305,
  sealChaCha20Poly1305,
  sealXChaCha20Poly1305,
} from "../../src/crypto/aead.ts";
import { ed25519Verify } from "../../src/crypto/ed25519.ts";
import { loadAllTransportCiphers } from "../../src/crypto/load-transport-cipher.ts";
import type { TransportCipher } from "../../src/crypto/transport-cipher.ts";
import { x25519 } from "../../src/crypto/x25519.ts";
import { naiveSeal, naiveTransportNonce } from "../naive/chacha20-poly1305.ts";
import { readSharedVectors } from "./shared-vectors.ts";

interface Vector {
  readonly tcId: number;
  readonly flags: readonly string[];
  readonly result: "valid" | "acceptable" | "invalid";
}

interface File<Group> {
  readonly numberOfTests: number;
  readonly testGroups: readonly Group[];
}

interface XdhVector extends Vector {
  readonly public: string;
  readonly private: string;
  readonly shared: string;
}

interface EddsaVector extends Vector {
  readonly msg: string;
  readonly sig: string;
}

interface AeadVector extends Vector {
  readonly key: string;
  readonly iv: string;
  readonly aad: string;
  readonly msg: string;
  readonly ct: string;
  readonly tag: string;
}

const hex = (text: string) => parseHex(text)!;

describe("X25519", () => {
  const file = readSharedVectors<File<{ tests: XdhVector[] }>>("wycheproof-x25519.json");

  test("all vectors: of the acceptable ones, those with an all-zero secret are refused and the others taken", () => {
    if (!file) return;
    const vectors = file.testGroups.flatMap((group) => group.tests);
    let refused = 0;
    for (const vector of vectors) {
      const shared = x25519(hex(vector.private), hex(vector.public));
      const isRefused = shared === undefined;
      // "acceptable" are twisted, non-canonical and low-order public keys. RFC 7748 takes all, but
      // lets the all-zero secret be refused (section 6.1), as Noise and we do.
      expect({ tcId: vector.tcId, isRefused }).toEqual({
        tcId: vector.tcId,
        isRefused: vector.flags.includes("ZeroSharedSecret"),
      });
      if (isRefused) expect(isAllZero(hex(vector.shared))).toBe(true);
      else
        expect({ tcId: vector.tcId, shared: formatHex(shared) }).toEqual({ tcId: vector.tcId, shared: vector.shared });
      if (isRefused) refused++;
    }
    expect(vectors.length).toBe(file.numberOfTests);
    expect(refused).toBeGreaterThan(20);
  });
});

describe("Ed25519", () => {
  const file = readSharedVectors<File<{ publicKey: { pk: string }; tests: EddsaVector[] }>>("wycheproof-ed25519.json");

  test("all vectors: the valid are taken, the invalid refused, and none is merely acceptable", () => {
    if (!file) return;
    let count = 0;
    for (const group of file.testGroups) {
      for (const { tcId, result, msg, sig } of group.tests) {
        const verdict = ed25519Verify(hex(group.publicKey.pk), hex(msg), hex(sig)) ? "valid" : "invalid";
        expect({ tcId, verdict }).toEqual({ tcId, verdict: result as "valid" | "invalid" });
        count++;
      }
    }
    expect(count).toBe(file.numberOfTests);
  });
});

interface Aead {
  readonly name: string;
  readonly file: string;
  readonly nonceLengthBytes: number;
  readonly seal: typeof sealChaCha20Poly1305;
  readonly open: typeof openChaCha20Poly1305;
}

const AEADS: readonly Aead[] = [
  {
    name: "ChaCha20-Poly1305",
    file: "wycheproof-chacha20_poly1305.json",
    nonceLengthBytes: 12,
    seal: sealChaCha20Poly1305,
    open: openChaCha20Poly1305,
  },
  {
    name: "XChaCha20-Poly1305",
    file: "wycheproof-xchacha20_poly1305.json",
    nonceLengthBytes: 24,
    seal: sealXChaCha20Poly1305,
    open: openXChaCha20Poly1305,
  },
];

describe.each(AEADS)("$name", ({ file: name, nonceLengthBytes, seal, open }) => {
  const file = readSharedVectors<File<{ tests: AeadVector[] }>>(name);

  test("all vectors: sealed and opened, forgeries and nonces of another length refused", () => {
    if (!file) return;
    const vectors = file.testGroups.flatMap((group) => group.tests);
    for (const { tcId, result, key, iv, aad, msg, ct, tag } of vectors) {
      const inputs = [hex(key), hex(iv)] as const;
      const sealed = concatBytes(hex(ct), hex(tag));
      const opened = open(...inputs, sealed, hex(aad));
      expect({ tcId, opened: opened && formatHex(opened) }).toEqual({
        tcId,
        opened: result === "valid" ? msg : undefined,
      });
      if (iv.length !== 2 * nonceLengthBytes) {
        expect(() => seal(...inputs, hex(msg), hex(aad))).toThrow();
      } else if (result === "valid") {
        expect({ tcId, sealed: formatHex(seal(...inputs, hex(msg), hex(aad))) }).toEqual({ tcId, sealed: ct + tag });
      }
    }
    expect(vectors.length).toBe(file.numberOfTests);
  });
});

/**
 * No vector has WireGuard's nonce and no associated data, so each lends its key and message, with a
 * counter from its nonce, and the naive implementation, which passes the vectors as they are, says the rest.
 */
describe("transport ciphers", () => {
  const file = readSharedVectors<File<{ tests: AeadVector[] }>>("wycheproof-chacha20_poly1305.json");
  const vectors = (file?.testGroups ?? [])
    .flatMap((group) => group.tests)
    .filter(({ iv, result }) => iv.length === 24 && result === "valid");

  test("the naive implementation passes the vectors", () => {
    for (const { tcId, key, iv, aad, msg, ct, tag } of vectors) {
      const sealed = formatHex(naiveSeal(hex(key), hex(iv), hex(msg), hex(aad)));
      expect({ tcId, sealed }).toEqual({ tcId, sealed: ct + tag });
    }
  });

  test.each(loadAllTransportCiphers().map((cipher) => [cipher.name, cipher] as const))(
    "%s agrees with it on every key and message",
    (_name: string, cipher: TransportCipher) => {
      for (const { tcId, key, iv, msg } of vectors) {
        const counter = Number.parseInt(iv.slice(-13), 16);
        const plaintext = hex(msg);
        const expected = naiveSeal(hex(key), naiveTransportNonce(counter), plaintext);
        const buffer = new Uint8Array(new ArrayBuffer(expected.length));
        buffer.set(plaintext);
        cipher.setKey(0, hex(key));
        cipher.seal(0, counter, buffer, 0, plaintext.length);
        expect({ tcId, sealed: formatHex(buffer) }).toEqual({ tcId, sealed: formatHex(expected) });
        const opens = cipher.open(0, counter, buffer, 0, expected.length);
        expect({ tcId, opens, opened: formatHex(buffer.subarray(0, plaintext.length)) }).toEqual({
          tcId,
          opens: true,
          opened: msg,
        });
      }
    },
  );
});
