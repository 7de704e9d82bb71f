import { describe, expect, test } from "bun:test";
import { Chain } from "../../src/trust/chain.ts";
import { currentEpoch, currentNetworkKeyHash } from "../../src/trust/chain-state.ts";
import { isNetworkKeyOf } from "../../src/trust/epoch.ts";
import { nodeIdOf } from "../../src/trust/identity.ts";
import { joinKeyIdOf } from "../../src/trust/join-key.ts";
import { KeyRing } from "../../src/trust/key-ring.ts";
import { epochRecipients, makeRotation, openPreviousKey } from "../../src/trust/rotation.ts";
import { generateNetworkKey, type NetworkKey, networkKeyHash, seal } from "../../src/trust/seal.ts";
import { SEALED_KEY_LENGTH_BYTES } from "../../src/trust/statement-codec.ts";
import {
  accept,
  admitJoinKey,
  joinBody,
  machine,
  makeTailnet,
  NOW_MS,
  refusal,
  seededRandom,
  type TestTailnet,
} from "./fixture.ts";

/** Rotates once, and answers the new key. */
function rotate({ chain, signer, random }: TestTailnet, current: NetworkKey): NetworkKey {
  const { networkKey, body } = makeRotation(chain.state, current, random);
  accept(chain, chain.sign(body, NOW_MS, signer));
  return networkKey;
}

describe("rotation", () => {
  test("the chain holds the hash of each epoch's key, the newest last", () => {
    const tailnet = makeTailnet();
    const first = rotate(tailnet, tailnet.networkKey);
    const second = rotate(tailnet, first);
    const { state } = tailnet.chain;
    expect(currentEpoch(state)).toBe(2);
    expect(second.epoch).toBe(2);
    const keys = [tailnet.networkKey, first, second];
    expect(state.networkKeyHashes.map((hash, epoch) => isNetworkKeyOf(keys[epoch]!, hash))).toEqual([true, true, true]);
    expect(currentNetworkKeyHash(state)).toEqual(networkKeyHash(second.key));
  });

  test("each holds the key before, for who has its own and nobody else", () => {
    const tailnet = makeTailnet();
    const { chain, networkKey, random } = tailnet;
    const { networkKey: next, body } = makeRotation(chain.state, networkKey, random);
    expect(body.previousKey.length).toBe(SEALED_KEY_LENGTH_BYTES);
    expect(openPreviousKey(next, body, chain.tailnetId)).toEqual(networkKey);
    expect(openPreviousKey(generateNetworkKey(1, random), body, chain.tailnetId)).toBeUndefined();
    expect(openPreviousKey({ epoch: 2, key: next.key }, body, chain.tailnetId)).toBeUndefined();
    expect(openPreviousKey(next, body, makeTailnet("other").chain.tailnetId)).toBeUndefined();
    const bent = { ...body, previousKey: body.previousKey.map((byte, i) => (i === 100 ? byte ^ 1 : byte)) };
    expect(openPreviousKey(next, bent, chain.tailnetId)).toBeUndefined();
    const empty = seal(new Uint8Array(5), { kind: "network-key", tailnetId: chain.tailnetId }, next, random);
    expect(openPreviousKey(next, { ...body, previousKey: empty }, chain.tailnetId)).toBeUndefined();
  });

  test("starts from the newest key alone", () => {
    const tailnet = makeTailnet();
    const { chain, networkKey, random } = tailnet;
    expect(() => makeRotation(chain.state, generateNetworkKey(0, random), random)).toThrow(RangeError);
    rotate(tailnet, networkKey);
    expect(() => makeRotation(chain.state, networkKey, random)).toThrow(RangeError);
  });

  test("is due when somebody who knows the newest key is gone, until it is done", () => {
    const tailnet = makeTailnet();
    const { chain, signer, networkKey } = tailnet;
    const [used, live] = [admitJoinKey(tailnet, "used"), admitJoinKey(tailnet, "live")];
    const member = machine("member");
    accept(chain, chain.sign(joinBody(member, "10.11.12.1", "m"), NOW_MS, used.signing, member.machineKey));
    const cancel = (key: typeof used) =>
      accept(
        chain,
        chain.sign({ kind: "cancel-join-key", joinKey: joinKeyIdOf(key.signing.publicKey) }, NOW_MS, signer),
      );
    cancel(used);
    expect(chain.state.rotationDue).toBe(false);
    cancel(live);
    expect(chain.state.rotationDue).toBe(true);
    const next = rotate(tailnet, networkKey);
    expect(chain.state.rotationDue).toBe(false);
    accept(chain, chain.sign({ kind: "leave" }, NOW_MS, member.machineKey));
    expect(chain.state.rotationDue).toBe(true);
    rotate(tailnet, next);
    expect(chain.state.rotationDue).toBe(false);
  });

  test("of an epoch out of turn, or with a key that was, is refused", () => {
    const tailnet = makeTailnet();
    const { chain, signer, networkKey, random } = tailnet;
    const { body } = makeRotation(chain.state, networkKey, random);
    for (const wrong of [
      { ...body, epoch: 0 },
      { ...body, epoch: 2 },
      { ...body, networkKeyHash: networkKeyHash(networkKey.key) },
    ]) {
      expect(refusal(chain, chain.sign(wrong, NOW_MS, signer))).toBe("epoch-not-next");
    }
    expect(refusal(chain, chain.sign(body, NOW_MS, signer))).toBe("accepted");
    expect(refusal(chain, chain.sign(body, NOW_MS, signer))).toBe("epoch-not-next");
  });

  test("boxes are for members and live join keys, each once, but not for those cut off", () => {
    const tailnet = makeTailnet();
    const { chain, signer, first } = tailnet;
    const [used, live] = [admitJoinKey(tailnet, "used"), admitJoinKey(tailnet, "live")];
    const member = machine("member");
    accept(chain, chain.sign(joinBody(first, "10.11.12.1", "one"), NOW_MS, signer, first.machineKey));
    accept(chain, chain.sign(joinBody(member, "10.11.12.2", "m"), NOW_MS, used.signing, member.machineKey));
    const keysOf = (...keys: Uint8Array[]) => keys.map((key) => key.toHex()).sort();
    const recipients = epochRecipients(chain.state);
    expect(keysOf(...recipients)).toEqual(
      keysOf(first.sealKey.publicKey, member.sealKey.publicKey, live.seal.publicKey),
    );
    const removals = {
      machines: new Set([nodeIdOf(member.machineKey.publicKey)]),
      joinKeys: new Set([joinKeyIdOf(live.signing.publicKey)]),
      signers: new Set<string>(),
    };
    expect(epochRecipients(chain.state, removals)).toEqual([first.sealKey.publicKey]);
  });
});

describe("key ring", () => {
  /** A chain of several epochs as the list of a registry: each rotation sealed with the old and the new key. */
  function sealedList(epochs: number) {
    const tailnet = makeTailnet();
    const { chain, random } = tailnet;
    const { tailnetId } = chain;
    let networkKey = tailnet.networkKey;
    const sealAs = (bytes: Uint8Array, key: NetworkKey) => seal(bytes, { kind: "statement", tailnetId }, key, random);
    const list = chain.statements.map((bytes) => sealAs(bytes, networkKey));
    for (let i = 0; i < epochs; i++) {
      const before = networkKey;
      networkKey = rotate(tailnet, before);
      list.push(sealAs(chain.statements.at(-1)!, before), sealAs(chain.statements.at(-1)!, networkKey));
      admitJoinKey(tailnet, `key ${i}`);
      list.push(sealAs(chain.statements.at(-1)!, networkKey));
    }
    return { ...tailnet, list, newest: networkKey };
  }

  test("who has the newest key reads back to the genesis", () => {
    const { chain, list, newest } = sealedList(5);
    const ring = new KeyRing(chain.tailnetId, [newest]);
    const opened = ring.openStatements(list);
    expect(opened.every((bytes) => bytes !== undefined)).toBe(true);
    expect(opened[0]).toEqual(chain.statements[0]!);
    expect([...ring.confirm(chain.state).keys()].sort()).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test("also where older statements stand behind newer ones", () => {
    const { chain, list, newest } = sealedList(4);
    const opened = new KeyRing(chain.tailnetId, [newest]).openStatements(list.toReversed());
    expect(opened.every((bytes) => bytes !== undefined)).toBe(true);
  });

  test("who has an older key reads nothing of later epochs but that there is one", () => {
    const { chain, list, networkKey } = sealedList(2);
    const opened = new KeyRing(chain.tailnetId, [networkKey]).openStatements(list);
    expect(opened.map((bytes) => bytes !== undefined)).toEqual([true, true, true, ...new Array(5).fill(false)]);
  });

  test.each([[3], [200]])("%p forged rotations lead nobody astray", (count) => {
    const { chain, list, newest, random } = sealedList(2);
    const forger = machine("forger");
    const forged = Array.from({ length: count }, (_, i) => {
      const { body } = makeRotation(
        { ...chain.state, networkKeyHashes: [new Uint8Array(32), networkKeyHash(new Uint8Array(32).fill(i + 1))] },
        { epoch: 1, key: new Uint8Array(32).fill(i + 1) },
        (lengthBytes) => newest.key.slice(0, lengthBytes),
      );
      const bytes = chain.sign({ ...body, networkKeyHash: networkKeyHash(newest.key) }, NOW_MS, forger.machineKey);
      return seal(bytes, { kind: "statement", tailnetId: chain.tailnetId }, newest, random);
    });
    const ring = new KeyRing(chain.tailnetId, [newest]);
    const opened = ring.openStatements([...list, ...forged]);
    const reader = Chain.fromGenesis(opened[0]!)!;
    for (const bytes of opened) if (bytes) reader.append(bytes);
    expect(reader.head).toEqual(chain.head);
    expect(ring.confirm(chain.state).size).toBe(3);
  });

  test("keeps a bounded number of keys of an epoch, and after the chain spoke the one", () => {
    const { chain, networkKey } = makeTailnet();
    const ring = new KeyRing(chain.tailnetId);
    const random = seededRandom("junk");
    const added = Array.from({ length: 20 }, () => ring.add(generateNetworkKey(0, random)));
    expect(added.filter(Boolean)).toHaveLength(8);
    expect(ring.confirm(chain.state).size).toBe(0);
    expect(ring.add(networkKey)).toBe(true);
    expect(ring.add({ ...networkKey })).toBe(false);
    expect(ring.confirm(chain.state)).toEqual(new Map([[0, networkKey]]));
  });
});
