/** What a machine without a tailnet is about: said when nobody asked for it just now. */

import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "../../src/base/log.ts";
import { settleIntent } from "../../src/daemon/intent.ts";
import type { UpOptions } from "../../src/daemon/options.ts";
import { StateDirectory } from "../../src/daemon/state-directory.ts";
import { createTlsIdentity } from "../../src/registry/tls-identity.ts";
import { formatPinnedUrl } from "../../src/registry/url.ts";

let folder = "";
let state: StateDirectory;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "minitail-intent-"));
  state = StateDirectory.open(join(folder, "state"));
});
afterEach(() => {
  state.close();
  rmSync(folder, { recursive: true, force: true });
});

const URL = formatPinnedUrl("192.0.2.1", 7411, createTlsIdentity().pin);

/** What the log says. */
function settle(options: Partial<UpOptions> = {}): string[] {
  const said: string[] = [];
  const log = { ...silentLog, info: (message: string) => said.push(message) };
  settleIntent(state, { stateDirectory: "", socketPath: "", ...options } as UpOptions, log);
  return said;
}

test("a new network is made, and gone on with, without a word", () => {
  expect([settle(), settle()]).toEqual([[], []]);
});

test.each<[Partial<UpOptions>, string]>([
  [{ secret: "hidden" }, "to use a shared secret"],
  [{ secret: "hidden", registryUrl: "redis://:password@192.0.2.1" }, "to use a shared secret at redis://192.0.2.1"],
  [{ registryUrl: URL, token: "hidden" }, "to ask at https://192.0.2.1:7411 to be let in"],
])("%p is said when it is gone on with, without its secrets", (given, what) => {
  expect(settle(given)).toEqual([]);
  const line = `going on with what up was told before: ${what}; minitail logout --force forgets it`;
  expect(settle()).toEqual([line]);
  expect(line).not.toMatch(/hidden|password/);
  expect(settle(given)).toEqual([]);
});

test("a URL that cannot be used is refused before it is written down", () => {
  for (const secret of [undefined, "hidden"]) {
    expect(() => settle({ registryUrl: "nonsense", ...(secret === undefined ? {} : { secret }) })).toThrow("not a URL");
  }
  expect(settle()).toEqual([]);
});
