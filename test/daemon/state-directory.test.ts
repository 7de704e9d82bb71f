import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
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

  test("no byte of a file of keys may be another; JSON is as a person left it", () => {
    const state = StateDirectory.open(join(folder, "state"));
    for (const name of [
      "identity",
      "node-key",
      "membership",
      "chain",
      "records",
      "held",
      "branches",
      "registry-keys",
    ]) {
      state.write(name, "what this machine is");
      expect(new TextDecoder().decode(state.read(name))).toBe("what this machine is");
      const whole = readFileSync(state.file(name));
      for (let i = 0; i < whole.length; i++) {
        writeFileSync(state.file(name), Buffer.from(whole.map((byte, j) => (i === j ? byte ^ 0x10 : byte))));
        expect(() => state.read(name)).toThrow(
          expect.objectContaining({
            code: "state-damaged",
            message: `${state.file(name)} is damaged: its checksum is wrong`,
            hint: expect.stringMatching(/backup/),
          }),
        );
      }
    }
    expect(hintOf(() => state.read("identity"))).toBe(
      "put the state directory back from a backup, or remove it and join again",
    );
    expect(hintOf(() => state.read("records"))).toBe("remove that file, or put it back from a backup");
    state.writeJson("settings.json", { name: "a" });
    expect(readFileSync(state.file("settings.json"), "utf8")).toBe('{\n  "name": "a"\n}\n');
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

describe("who may write there", () => {
  const errorOf = (action: () => unknown) => {
    try {
      action();
      return undefined;
    } catch (error) {
      return isMinitailError(error) ? `${error.code}: ${error.message}; ${error.hint}` : String(error);
    }
  };
  const isRoot = process.geteuid!() === 0;
  const own = isRoot ? "root" : String(process.geteuid!());
  let path = "";
  beforeEach(() => {
    path = join(folder, "state");
    const state = StateDirectory.open(path);
    state.write("identity", "keys");
    state.close();
  });

  test.each(["0777", "0770", "0775", "0702", "1777"])("a folder of mode %s is refused, and left as it is", (mode) => {
    chmodSync(path, Number.parseInt(mode, 8));
    rmSync(join(path, "lock"));
    expect(errorOf(() => StateDirectory.open(path))).toBe(
      `not-permitted: others may write to the folder ${path} (mode ${mode}); ` +
        `see that all in it is yours, then: chmod go-w ${path}`,
    );
    expect(existsSync(join(path, "lock"))).toBe(false);
  });

  test.each(["700", "755", "750", "2755"])("a folder of mode %s will do", (mode) => {
    chmodSync(path, Number.parseInt(mode, 8));
    StateDirectory.open(path).close();
    expect((statSync(path).mode & 0o7777).toString(8)).toBe(mode);
  });

  test("files of ours are their owner's alone from then on; where a link leads, and folders, stay as they are", () => {
    chmodSync(join(path, "identity"), 0o666);
    writeFileSync(join(folder, "settings"), "{}");
    chmodSync(join(folder, "settings"), 0o644);
    symlinkSync(join(folder, "settings"), join(path, "settings.json"));
    symlinkSync(join(folder, "absent"), join(path, "intent.json"));
    mkdirSync(join(path, "lost+found"), { mode: 0o755 });
    StateDirectory.open(path).close();
    const modeOf = (file: string) => statSync(file).mode & 0o777;
    expect(modeOf(join(path, "identity"))).toBe(0o600);
    expect(modeOf(join(folder, "settings"))).toBe(0o644);
    expect(modeOf(join(path, "lost+found"))).toBe(0o755);
  });

  test.skipIf(!isRoot).each([
    ["0777", 0],
    ["0755", 1234],
    ["0775", 1234],
  ])("an empty folder of mode %s and user %d is made ours", (mode, user) => {
    const empty = join(folder, "empty");
    mkdirSync(empty);
    chmodSync(empty, Number.parseInt(mode, 8));
    chownSync(empty, user, user);
    StateDirectory.open(empty).close();
    const { mode: bits, uid, gid } = statSync(empty);
    expect([(bits & 0o7777).toString(8), uid, gid]).toEqual(["700", 0, process.getegid!()]);
  });

  test("an empty folder that many share stays theirs", () => {
    const shared = join(folder, "shared");
    mkdirSync(shared);
    chmodSync(shared, 0o1777);
    expect(errorOf(() => StateDirectory.open(shared))).toContain("not-permitted: others may write to the folder");
    expect(statSync(shared).mode & 0o7777).toBe(0o1777);
  });

  test.skipIf(!isRoot)("a folder of another user is refused", () => {
    chownSync(path, 1234, 0);
    expect(errorOf(() => StateDirectory.open(path))).toBe(
      `not-permitted: ${path} belongs to user 1234, who could replace what is in it; ` +
        `see that all in it is yours, then: chown -R ${own} ${path}`,
    );
  });

  test.skipIf(!isRoot)("a file of another user is refused, and a link of his, and one to his file", () => {
    const refused = (name: string) =>
      `not-permitted: ${join(path, name)} belongs to user 1234; ` +
      `see that it is what this machine had there, then: chown ${own} ${join(path, name)}`;
    chownSync(join(path, "identity"), 1234, 0);
    expect(errorOf(() => StateDirectory.open(path))).toBe(refused("identity"));
    chownSync(join(path, "identity"), 0, 0);
    writeFileSync(join(folder, "theirs"), "");
    symlinkSync(join(folder, "theirs"), join(path, "journal.json"));
    lchownSync(join(path, "journal.json"), 1234, 0);
    expect(errorOf(() => StateDirectory.open(path))).toBe(refused("journal.json"));
    lchownSync(join(path, "journal.json"), 0, 0);
    chownSync(join(folder, "theirs"), 1234, 0);
    expect(errorOf(() => StateDirectory.open(path))).toBe(refused("journal.json"));
    chownSync(join(folder, "theirs"), 0, 0);
    StateDirectory.open(path).close();
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
