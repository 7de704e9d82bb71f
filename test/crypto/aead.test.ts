import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { concatBytes, formatHex, parseHex, utf8 } from "../../src/base/bytes.ts";
import {
  openChaCha20Poly1305,
  openXChaCha20Poly1305,
  sealChaCha20Poly1305,
  sealXChaCha20Poly1305,
} from "../../src/crypto/aead.ts";
import { naiveChaCha20Block, naivePoly1305, naiveSeal } from "../naive/chacha20-poly1305.ts";

const hex = (text: string) => parseHex(text)!;
const SUNSCREEN = utf8(
  "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
);
const KEY = hex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
const ASSOCIATED_DATA = hex("50515253c0c1c2c3c4c5c6c7");
const RFC_8439_NONCE = hex("070000004041424344454647");
const RFC_8439_SEALED =
  "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6" +
  "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36" +
  "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc" +
  "3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691";

describe("the naive implementation, by RFC 8439", () => {
  test("section 2.3.2: block", () => {
    const key = Uint8Array.from({ length: 32 }, (_, i) => i);
    expect(formatHex(naiveChaCha20Block(key, 1, hex("000000090000004a00000000")))).toBe(
      "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e" +
        "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e",
    );
  });

  test("section 2.5.2: tag", () => {
    const key = hex("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b");
    expect(formatHex(naivePoly1305(key, utf8("Cryptographic Forum Research Group")))).toBe(
      "a8061dc1305136c6c22b8baf0c0127a9",
    );
  });

  test("section 2.8.2: AEAD", () => {
    expect(formatHex(naiveSeal(KEY, RFC_8439_NONCE, SUNSCREEN, ASSOCIATED_DATA))).toBe(RFC_8439_SEALED);
  });
});

describe("ChaCha20-Poly1305", () => {
  test("RFC 8439 section 2.8.2", () => {
    const sealed = sealChaCha20Poly1305(KEY, RFC_8439_NONCE, SUNSCREEN, ASSOCIATED_DATA);
    expect(formatHex(sealed)).toBe(RFC_8439_SEALED);
    expect(openChaCha20Poly1305(KEY, RFC_8439_NONCE, sealed, ASSOCIATED_DATA)).toEqual(SUNSCREEN);
  });

  test("RFC 8439 appendix A.5", () => {
    const key = hex("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0");
    const sealed = hex(
      "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb2" +
        "4c6cfc18755d43eea09ee94e382d26b0bdb7b73c321b0100d4f03b7f355894cf" +
        "332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c855" +
        "9797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4" +
        "b9166c767b804d46a59b5216cde7a4e99040c5a40433225ee282a1b0a06c523e" +
        "af4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a" +
        "0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a10" +
        "49e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29" +
        "a6ad5cb4022b02709beead9d67890cbb22392336fea1851f38",
    );
    const opened = openChaCha20Poly1305(key, hex("000000000102030405060708"), sealed, hex("f33388860000000000004e91"));
    expect(new TextDecoder().decode(opened)).toStartWith("Internet-Drafts are draft documents valid for a maximum");
  });

  test("the same as the naive one, and nothing else opens", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.uint8Array({ minLength: 12, maxLength: 12 }),
        fc.uint8Array({ maxLength: 200 }),
        fc.uint8Array({ maxLength: 40 }),
        fc.nat(),
        (key, nonce, plaintext, associatedData, flip) => {
          const sealed = sealChaCha20Poly1305(key, nonce, plaintext, associatedData);
          expect(sealed).toEqual(naiveSeal(key, nonce, plaintext, associatedData));
          expect(openChaCha20Poly1305(key, nonce, sealed, associatedData)).toEqual(plaintext);
          const forged = sealed.slice();
          forged[flip % forged.length]! ^= 1 << (flip & 7);
          expect(openChaCha20Poly1305(key, nonce, forged, associatedData)).toBeUndefined();
          expect(openChaCha20Poly1305(key, nonce, sealed, concatBytes(associatedData, hex("00")))).toBeUndefined();
          expect(openChaCha20Poly1305(key, nonce, sealed.slice(1), associatedData)).toBeUndefined();
        },
      ),
      { seed: 8439, numRuns: 40 },
    );
  });
});

describe("XChaCha20-Poly1305", () => {
  test("draft-irtf-cfrg-xchacha-03 appendix A.3.1", () => {
    const nonce = hex("404142434445464748494a4b4c4d4e4f5051525354555657");
    const sealed = sealXChaCha20Poly1305(KEY, nonce, SUNSCREEN, ASSOCIATED_DATA);
    expect(formatHex(sealed)).toBe(
      "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb" +
        "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452" +
        "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9" +
        "21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49",
    );
    expect(openXChaCha20Poly1305(KEY, nonce, sealed, ASSOCIATED_DATA)).toEqual(SUNSCREEN);
    sealed[3]! ^= 0x80;
    expect(openXChaCha20Poly1305(KEY, nonce, sealed, ASSOCIATED_DATA)).toBeUndefined();
  });
});

test("anything too short to hold a tag does not open", () => {
  for (let lengthBytes = 0; lengthBytes <= 16; lengthBytes++) {
    const stump = new Uint8Array(lengthBytes);
    expect(openChaCha20Poly1305(KEY, RFC_8439_NONCE, stump)).toBeUndefined();
    expect(openXChaCha20Poly1305(KEY, new Uint8Array(24), stump)).toBeUndefined();
  }
});
