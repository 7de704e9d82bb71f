import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isMinitailError } from "../../src/base/errors.ts";
import { StateDirectory } from "../../src/daemon/state-directory.ts";
import { Journal } from "../../src/host/journal.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "minitail-state-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function codeOf(action: () => unknown): string | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    return isMinitailError(error) ? error.code : String(error);
  }
}

function hintOf(action: () => unknown): string | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    return isMinitailError(error) ? error.hint : String(error);
  }
}

describe("state directory", () => {
  test("one at a time holds it, and closing gives it up", () => {
    const path = join(folder, "state");
    const first = StateDirectory.open(path);
    expect(codeOf(() => StateDirectory.open(path))).toBe("state-locked");
    expect(hintOf(() => StateDirectory.open(path))).toBe(
      `stop it with minitail down (kill ${process.pid} where that finds no daemon), ` +
        "or give this one its own --state-dir, --socket and --tun",
    );
    writeFileSync(join(path, "lock"), "");
    expect(hintOf(() => StateDirectory.open(path))).toBe(
      "stop it with minitail down, or give this one its own --state-dir, --socket and --tun",
    );
    first.close();
    const second = StateDirectory.open(path);
    second.close();
  });

  test("files are their owner's alone and replaced whole", () => {
    const state = StateDirectory.open(join(folder, "state"));
    state.write("identity", new Uint8Array([1, 2, 3]));
    state.write("identity", new Uint8Array([4]));
    expect(state.read("identity")).toEqual(new Uint8Array([4]));
    expect(statSync(state.file("identity")).mode & 0o777).toBe(0o600);
    expect(statSync(state.path).mode & 0o777).toBe(0o700);
    expect(readdirSync(state.path).filter((name) => name.endsWith(".new"))).toEqual([]);
    expect(state.read("other")).toBeUndefined();
    state.close();
  });

  test("a folder of a later format is refused and left as it is", () => {
    const path = join(folder, "state");
    StateDirectory.open(path).close();
    writeFileSync(join(path, "version.json"), '{"format": 999}');
    expect(codeOf(() => StateDirectory.open(path))).toBe("state-damaged");
    expect(codeOf(() => StateDirectory.open(path))).toBe("state-damaged");
  });

  test("a folder that can't be made says so", () => {
    writeFileSync(join(folder, "file"), "");
    expect(codeOf(() => StateDirectory.open(join(folder, "file", "state")))).toBe("state-unwritable");
  });
});

describe("journal", () => {
  test("what was written down is undone by whoever opens it next, once", async () => {
    const path = join(folder, "journal.json");
    const socket = join(folder, "socket");
    await new Journal(path).record({ kind: "file", path: socket }, () => writeFileSync(socket, ""));
    const reopened = new Journal(path);
    expect(reopened.entries).toEqual([{ kind: "file", path: socket }]);
    expect(reopened.undoAll()).toEqual([]);
    expect(existsSync(socket)).toBe(false);
    expect(existsSync(path)).toBe(false);
    expect(new Journal(path).undoAll()).toEqual([]);
  });

  test("it is written before the change, so a change that a kill cuts off is undone too", async () => {
    const path = join(folder, "journal.json");
    await new Journal(path).record({ kind: "file", path: join(folder, "x") }, () => {
      expect(new Journal(path).entries).toHaveLength(1);
    });
  });

  test("what could not be made is another's, and is not taken back", async () => {
    const path = join(folder, "journal.json");
    const others = join(folder, "others");
    writeFileSync(others, "");
    const journal = new Journal(path);
    await journal.record({ kind: "file", path: join(folder, "ours") }, () => {});
    const change = () => Promise.reject(new Error("taken"));
    await expect(journal.record({ kind: "file", path: others }, change)).rejects.toThrow("taken");
    expect(new Journal(path).entries).toEqual([{ kind: "file", path: join(folder, "ours") }]);
    expect(journal.undoAll()).toEqual([]);
    expect(existsSync(others)).toBe(true);
  });

  test.each([
    "",
    "{",
    "[]",
    '{"version":1}',
    '{"version":2,"entries":[{"kind":"file","path":"/x"}]}',
    '{"version":1,"entries":[7,{"kind":"file"}]}',
  ])("a journal that holds %p undoes nothing", (text) => {
    const path = join(folder, "journal.json");
    writeFileSync(path, text);
    expect(new Journal(path).entries).toEqual([]);
  });
});
