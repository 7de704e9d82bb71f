import { describe, expect, test } from "bun:test";
import { systemRandom } from "../../src/crypto/random.ts";
import {
  EPOCH_HASH_LENGTH_BYTES,
  epochRecipientTag,
  isNetworkKeyOf,
  openEpochBox,
  sealEpochBox,
} from "../../src/trust/epoch.ts";
import { networkKeyHash } from "../../src/trust/seal.ts";
import { machine, makeTailnet, seededRandom } from "./fixture.ts";

const { chain, networkKey } = makeTailnet();
const { tailnetId } = chain;
const secret = { networkKey, registryToken: "token-of-epoch-0" };
const recipient = machine("recipient").sealKey;

describe("epoch box", () => {
  const box = sealEpochBox(secret, tailnetId, recipient.publicKey, seededRandom("box"));

  test("opens for its recipient alone", () => {
    expect(openEpochBox(box, tailnetId, 0, recipient)).toEqual(secret);
    expect(openEpochBox(box, tailnetId, 0, machine("other").sealKey)).toBeUndefined();
  });

  test("opens in its tailnet and epoch alone", () => {
    expect(openEpochBox(box, makeTailnet("other").chain.tailnetId, 0, recipient)).toBeUndefined();
    expect(openEpochBox(box, tailnetId, 1, recipient)).toBeUndefined();
  });

  test("not a byte of it can change, and nothing be cut", () => {
    for (let i = 0; i < box.length; i++) {
      const changed = box.slice();
      changed[i]! ^= 1;
      expect(openEpochBox(changed, tailnetId, 0, recipient)).toBeUndefined();
    }
    for (const length of [0, 32, 33, 100, box.length - 1]) {
      expect(openEpochBox(box.slice(0, length), tailnetId, 0, recipient)).toBeUndefined();
    }
  });

  test("a false network key fails against the chain's hash", () => {
    const hash = chain.state.networkKeyHashes[0]!;
    const forged = { networkKey: { epoch: 0, key: new Uint8Array(32) }, registryToken: "" };
    const opened = openEpochBox(
      sealEpochBox(forged, tailnetId, recipient.publicKey, systemRandom),
      tailnetId,
      0,
      recipient,
    )!;
    expect(isNetworkKeyOf(opened.networkKey, hash)).toBe(false);
    expect(isNetworkKeyOf(networkKey, hash)).toBe(true);
    expect(networkKeyHash(networkKey.key)).not.toEqual(networkKey.key);
  });

  test("a recipient's key of low order breaks nothing", () => {
    expect(sealEpochBox(secret, tailnetId, new Uint8Array(32), systemRandom).length).toBeGreaterThan(32);
  });

  test("tags differ by recipient, epoch, network key and tailnet, and show no key", () => {
    const other = makeTailnet("other").chain.tailnetId;
    const [hash, otherHash] = [networkKeyHash(secret.networkKey.key), networkKeyHash(recipient.publicKey)];
    const zero = { epoch: 0, networkKeyHash: hash };
    const tags = [
      epochRecipientTag(tailnetId, zero, recipient.publicKey),
      epochRecipientTag(tailnetId, { epoch: 1, networkKeyHash: hash }, recipient.publicKey),
      epochRecipientTag(tailnetId, { epoch: 0, networkKeyHash: otherHash }, recipient.publicKey),
      epochRecipientTag(other, zero, recipient.publicKey),
      epochRecipientTag(tailnetId, zero, machine("other").sealKey.publicKey),
    ];
    expect(new Set(tags).size).toBe(5);
    expect(epochRecipientTag(tailnetId, zero, recipient.publicKey)).toBe(tags[0]!);
    const cut = { epoch: 0, networkKeyHash: hash.subarray(0, EPOCH_HASH_LENGTH_BYTES) };
    expect(epochRecipientTag(tailnetId, cut, recipient.publicKey)).toBe(tags[0]!);
    for (const tag of tags) expect(tag).toMatch(/^[A-Za-z0-9_-]{22}$/);
  });
});
