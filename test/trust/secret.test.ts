import { describe, expect, test } from "bun:test";
import { formatBase32 } from "../../src/base/base32.ts";
import { x25519PublicKey } from "../../src/crypto/x25519.ts";
import { signingKeyPair } from "../../src/trust/identity.ts";
import { deriveSharedSecretKeys, estimateSecretBits, secretSealKey, WEAK_SECRET_BITS } from "../../src/trust/secret.ts";
import { seededRandom } from "./fixture.ts";

describe("shared secret", () => {
  test("gives the same keys for ever, whichever way its characters are composed", async () => {
    const keys = await deriveSharedSecretKeys("correct horse battery staple");
    expect(keys.signer.publicKey.toHex()).toBe("34a15864906e0130e054186aec122b16d0664e976ebb0fbfbfef94c6c019da0c");
    expect(keys.networkKey.epoch).toBe(0);
    expect(keys.networkKey.key.toHex()).toBe("1b5db2e1b47297ba74f571c2e47df190634aa7445d3d2eb7238f063431c350a3");
    expect(keys.registryToken).toBe("Yy-fGT6PT1ZGBmEYV-vdjzGTl9BBLCa_");
    expect(keys.tlsSeed.toHex()).toBe("e0795fb523ed8930f40d35c3900f946f88128f5d5896ad7ce40732feab3919fa");
    const [composed, decomposed] = await Promise.all(["caf\u00e9", "cafe\u0301"].map(deriveSharedSecretKeys));
    expect(composed).toEqual(decomposed!);
    expect(composed!.networkKey.key).not.toEqual(keys.networkKey.key);
  });

  test("its signer alone leads to the key for boxes of later epochs", async () => {
    const [keys, others] = await Promise.all(["one secret", "another"].map(deriveSharedSecretKeys));
    const { publicKey, privateKey } = secretSealKey(keys!.signer);
    expect(x25519PublicKey(privateKey)).toEqual(publicKey);
    expect(secretSealKey(signingKeyPair(keys!.signer.privateKey)).publicKey).toEqual(publicKey);
    expect(secretSealKey(others!.signer).publicKey).not.toEqual(publicKey);
    expect(privateKey).not.toEqual(keys!.signer.privateKey);
  });

  test.each([
    ["", true],
    ["1234567890123456789012345", true],
    ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true],
    ["abcdefghijklmnopqrstuvwxyz", true],
    ["passwordpasswordpasswordpasswordpassword", true],
    ["Tr0ub4dor&3", true],
    ["correct horse battery staple", true],
    ["horse horse horse horse horse horse horse horse", true],
    ["orbit-velvet-canyon-trumpet-lantern-meadow-pixel-harbor", false],
    ["2f7c9e1b5a80d3467be2419f08c6d5a3", false],
    ["hK3v_9qLw0ZtR7yXbN2mPfJ8", false],
  ])("%p is weak: %p", (secret, weak) => {
    expect(estimateSecretBits(secret) < WEAK_SECRET_BITS).toBe(weak);
  });

  // The same bits in each run: of 400,000 in hexadecimal, chance makes seven repeat themselves down to 80 bits or less.
  test("128 random bits in base32 or hexadecimal are never called weak", () => {
    const random = seededRandom("secret");
    for (let i = 0; i < 500; i++) {
      const bytes = random(16);
      expect(estimateSecretBits(formatBase32(bytes))).toBeGreaterThan(WEAK_SECRET_BITS);
      expect(estimateSecretBits(bytes.toHex())).toBeGreaterThan(WEAK_SECRET_BITS);
    }
  });
});
