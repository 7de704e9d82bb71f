import { expect, test } from "bun:test";
import { MinitailError } from "../../src/base/errors.ts";
import { WatchedStore } from "../../src/daemon/watched-store.ts";

/** A disk with room for so many bytes. */
class Disk {
  readonly files = new Map<string, Uint8Array>();
  roomBytes = 100;

  read(name: string): Uint8Array | undefined {
    return this.files.get(name);
  }

  write(name: string, contents: Uint8Array | string): void {
    if (contents.length > this.roomBytes) {
      throw new MinitailError("state-unwritable", `cannot write ${name}`, { hint: "make room" });
    }
    this.files.set(name, contents as Uint8Array);
  }

  remove(name: string): void {
    this.files.delete(name);
  }
}

const bytes = (length: number) => new Uint8Array(length);

test("a write that fails is said until as much can be written, and leaves nothing", () => {
  const disk = new Disk();
  const store = new WatchedStore(disk);
  store.save("chain", bytes(50));
  expect(store.health()).toEqual([]);
  disk.roomBytes = 40;
  expect(() => store.save("chain", bytes(60))).toThrow("cannot write chain");
  store.save("small", bytes(10));
  expect(store.health()).toEqual([{ code: "state-unwritable", message: "cannot write chain", hint: "make room" }]);
  disk.roomBytes = 100;
  expect(store.health()).toEqual([]);
  expect([...disk.files.keys()]).toEqual(["chain", "small"]);
  expect(store.load("chain")).toHaveLength(50);
});

test("a write of the same file that works ends it", () => {
  const disk = new Disk();
  const store = new WatchedStore(disk);
  expect(() => store.save("chain", bytes(101))).toThrow();
  store.save("chain", bytes(20));
  disk.roomBytes = 0;
  expect(store.health()).toEqual([]);
});
