/** What is decided on a machine whose disk has no room for the chain. */

import { describe, expect, test } from "bun:test";
import { MinitailError } from "../../src/base/errors.ts";
import { removeNode } from "../../src/daemon/decide/remove-node.ts";
import { renameNode } from "../../src/daemon/decide/rename-node.ts";
import { openTailnet } from "../../src/daemon/tailnet-start.ts";
import { contextOver, MemoryStore, makeNetwork, outcome } from "./tailnet-fixture.ts";

const hintOf = (action: Promise<unknown>) =>
  action.then(
    () => "",
    ({ hint }) => hint as string,
  );

function copyOf(store: MemoryStore): MemoryStore {
  const copy = new MemoryStore();
  for (const [name, bytes] of store.blobs) copy.save(name, bytes);
  return copy;
}

describe("a disk that is full", () => {
  /** Nothing can be written there that is larger than `roomBytes`. */
  function fill(store: MemoryStore, roomBytes: () => number): void {
    const save = store.save.bind(store);
    store.save = (name, bytes) => {
      if (bytes.length > roomBytes()) {
        throw new MinitailError("state-unwritable", `cannot write ${name}: no space left on device`, { hint: "room" });
      }
      save(name, bytes);
    };
  }

  test("before: nothing is decided, and the others hear of nothing", async () => {
    const { first } = await makeNetwork();
    const { number } = first.tailnet.chain.head;
    fill(first.store, () => 0);
    const renaming = renameNode(first.tailnet, "one", "uno");
    expect(await outcome(renaming)).toBe("state-unwritable");
    await expect(renaming).rejects.toThrow(/^cannot write chain: no space left on device$/);
    const reader = openTailnet(contextOver(first.registry, copyOf(first.store)))!;
    await reader.sync();
    expect([reader.self!.name, reader.chain.head.number]).toEqual(["one", number]);
  });

  test("in between: it is decided, which is said, and this machine follows when there is room", async () => {
    const { first } = await makeNetwork();
    const chainBytes = first.store.load("chain")!.length;
    let roomBytes = chainBytes;
    fill(first.store, () => roomBytes);
    const renaming = renameNode(first.tailnet, "one", "uno");
    expect(await outcome(renaming)).toBe("state-unwritable");
    await expect(renaming).rejects.toThrow(
      /^the tailnet took it, but this machine did not: cannot write chain: no space left on device$/,
    );
    expect(await hintOf(renaming)).toBe("make room on the disk: this machine follows by itself then");
    let changes = 0;
    first.tailnet.onChange(() => changes++);
    roomBytes = Number.POSITIVE_INFINITY;
    await first.tailnet.sync();
    expect(changes).toBe(1);
    expect(openTailnet(contextOver(first.registry, first.store))!.self!.name).toBe("uno");
  });

  test("a machine is removed all the same", async () => {
    const network = await makeNetwork();
    const { first } = network;
    const two = await network.join("two");
    await first.tailnet.sync();
    fill(first.store, () => 0);
    expect(await outcome(removeNode(first.tailnet, { node: "two", withMachines: false }))).toBe("state-unwritable");
    await two.tailnet.sync();
    expect(two.tailnet.self).toBeUndefined();
  });
});
