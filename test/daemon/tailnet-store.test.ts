import { describe, expect, test } from "bun:test";
import { systemRandom } from "../../src/crypto/random.ts";
import { openTailnet } from "../../src/daemon/tailnet-start.ts";
import { loadChain, loadMembership, loadOrCreateIdentity, loadRecords } from "../../src/daemon/tailnet-store.ts";
import { contextOver, MemoryStore, makeNetwork, outcome, recordContent } from "./tailnet-fixture.ts";

describe("store", () => {
  test("an empty one belongs to no tailnet", () => {
    const store = new MemoryStore();
    expect(loadMembership(store)).toBeUndefined();
    expect(loadChain(store)).toBeUndefined();
    expect(loadRecords(store)).toEqual({ ownNumber: 0, records: [] });
  });

  test("the identity is made once", () => {
    const store = new MemoryStore();
    expect(loadOrCreateIdentity(store, systemRandom)).toEqual(loadOrCreateIdentity(store, systemRandom));
  });

  test("a member opens as what it was", async () => {
    const { first } = await makeNetwork();
    await first.tailnet.publishRecord(recordContent(first.context));
    const opened = openTailnet(contextOver(first.registry, first.store))!;
    expect(opened.chain.head).toEqual(first.tailnet.chain.head);
    expect(opened.records).toEqual(first.tailnet.records);
    expect(opened.selfId).toBe(first.tailnet.selfId);
    expect(opened.signer("all")).toEqual(first.tailnet.signer("all")!);
  });

  test.each(["identity", "membership", "chain", "records"])("a damaged %s is said, not half believed", async (name) => {
    const { first } = await makeNetwork();
    await first.tailnet.publishRecord(recordContent(first.context));
    const whole = first.store.load(name)!;
    for (const bytes of [
      whole.slice(0, -1),
      new Uint8Array(),
      new Uint8Array([...whole, 0]),
      Uint8Array.of(9, ...whole.slice(1)),
    ]) {
      first.store.save(name, bytes);
      const opening = (async () => openTailnet(contextOver(first.registry, first.store)))();
      expect(await outcome(opening)).toBe("state-damaged");
    }
  });
});
