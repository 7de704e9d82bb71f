import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isMinitailError } from "../../src/base/errors.ts";
import { formatPrefix } from "../../src/base/ip.ts";
import { OFFLOADS, type UpOptions } from "../../src/daemon/options.ts";
import { keepSettings, settleSettings } from "../../src/daemon/settings.ts";
import { StateDirectory } from "../../src/daemon/state-directory.ts";

let folder = "";
let state: StateDirectory;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "minitail-settings-"));
  state = StateDirectory.open(join(folder, "state"));
});
afterEach(() => {
  state.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Nothing was given. */
const NOTHING = { stateDirectory: "", socketPath: "" } as UpOptions;

/** A start that came so far as to keep what it was told. */
function settle(options: Partial<UpOptions> = {}) {
  const settings = settleSettings(state, { ...NOTHING, ...options });
  keepSettings(state, { ...NOTHING, ...options });
  return settings;
}

function codeOf(action: () => unknown): string {
  try {
    action();
    return "done";
  } catch (error) {
    return isMinitailError(error) ? error.code : String(error);
  }
}

describe("settings", () => {
  test("a bare start uses what was given before, a given flag changes only itself", () => {
    settle({ name: "a", pool: "10.11.12.7/24", port: 1 });
    settle({ port: 2 });
    const { name, pool, port, interfaceName } = settle();
    expect([name, pool.map(formatPrefix), port, interfaceName]).toEqual(["a", ["10.11.12.0/24"], 2, "minitail0"]);
  });

  test("what was given to a start that failed before it could be used is not stored", () => {
    settle({ port: 1 });
    expect(settleSettings(state, { ...NOTHING, port: 2 }).port).toBe(2);
    expect(settle().port).toBe(1);
  });

  test("offloads are stored as they were given, none of them too, and all are wanted of whom nothing is known", () => {
    expect(settle().offloads).toEqual(OFFLOADS);
    expect(settle({ offloads: ["udp-gro", "tun-tso"] }).offloads).toEqual(["tun-tso", "udp-gro"]);
    expect(settle().offloads).toEqual(["tun-tso", "udp-gro"]);
    expect(settle({ offloads: [] }).offloads).toEqual([]);
    expect(settle().offloads).toEqual([]);
    expect(settle({ offloads: OFFLOADS }).offloads).toEqual(OFFLOADS);
  });

  test("what cannot be used is not stored", () => {
    for (const pool of ["10.0.0.0/7", "10.0.0.0/31", "fd00::/8", "x"]) {
      expect(codeOf(() => settle({ pool }))).toBe("usage");
    }
    for (const interfaceName of ["..", ".", "a/b", "a b", "sixteen-letters-", "tun%d", "a:1", ""]) {
      expect(codeOf(() => settle({ interfaceName }))).toBe("usage");
    }
    const { pool, interfaceName } = settle();
    expect([pool.map(formatPrefix), interfaceName]).toEqual([["100.64.0.0/10"], "minitail0"]);
  });

  test.each([
    "",
    "{",
    "7",
    '"text"',
    '{"listen":5}',
    '{"listen":[]}',
    '{"listen":[5]}',
    '{"pool":5}',
    '{"interfaceName":7}',
    '{"port":"x"}',
    '{"offloads":"all"}',
    '{"offloads":[5]}',
    '{"mtuBytes":"big"}',
    '{"name":{}}',
  ])("a file that holds %p is said to be damaged", (text) => {
    state.write("settings.json", text);
    expect(codeOf(() => settle())).toBe("state-damaged");
  });
});
