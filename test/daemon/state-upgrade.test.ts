/** State directories of earlier formats: real files, as that version wrote them. */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "../../src/base/log.ts";
import { establishMembership, type Membership } from "../../src/daemon/membership.ts";
import type { UpOptions } from "../../src/daemon/options.ts";
import { settleSettings } from "../../src/daemon/settings.ts";
import { withChecksum, withoutChecksum } from "../../src/daemon/state-checksum.ts";
import { StateDirectory } from "../../src/daemon/state-directory.ts";
import { FORMAT_VERSION, upgradeState } from "../../src/daemon/state-upgrade.ts";
import { loadMembership } from "../../src/daemon/tailnet-store.ts";
import { FORMAT_1_STATES, type StateFixture } from "./format-1-state.ts";
import { FORMAT_2_STATES } from "./format-2-state.ts";
import { joinKeyRequest } from "./tailnet-fixture.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "minitail-upgrade-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const FIXTURES = Object.entries(FORMAT_1_STATES);
const FIXTURES_2 = Object.entries(FORMAT_2_STATES);

function bytesOf(name: string, text: string): Uint8Array {
  return name.endsWith(".json") ? new TextEncoder().encode(text) : Uint8Array.fromBase64(text);
}

function layOut(fixture: StateFixture, name: string): string {
  const path = join(folder, name);
  mkdirSync(path, { mode: 0o700 });
  for (const [file, text] of Object.entries(fixture.files)) {
    writeFileSync(join(path, file), bytesOf(file, text), { mode: 0o600 });
  }
  return path;
}

async function up(
  path: string,
  options: Partial<UpOptions> = {},
): Promise<{ membership: Membership; down(): Promise<void> }> {
  const state = StateDirectory.open(path);
  const given = { stateDirectory: "", socketPath: "", listen: ["127.0.0.1:0"], ...options } as UpOptions;
  const membership = await establishMembership({
    state,
    settings: settleSettings(state, given),
    options: given,
    log: silentLog,
    signal: AbortSignal.timeout(20_000),
    onWaiting() {},
    onApproval() {},
  });
  const down = async () => {
    membership.tailnet.stop();
    membership.registry.close();
    await membership.embedded?.stop();
    state.close();
  };
  return { membership, down };
}

describe("format 1", () => {
  test.each(FIXTURES)("a %s comes up as what it was", async (name, fixture) => {
    const path = layOut(fixture, name);
    const { membership, down } = await up(path);
    const { tailnet } = membership;
    expect([tailnet.selfId, tailnet.id]).toEqual([fixture.selfId, fixture.tailnetId]);
    expect(tailnet.chain.head.number).toBe(fixture.headNumber);
    expect(tailnet.chain.head.hash.toHex()).toBe(fixture.headHash);
    expect(tailnet.records.size).toBe(tailnet.state.members.size);
    expect(tailnet.signer("all") !== undefined).toBe(name !== "member");
    expect(membership.embedded !== undefined).toBe(name !== "member");
    await down();
    expect(JSON.parse(readFileSync(join(path, "version.json"), "utf8"))).toEqual({ format: FORMAT_VERSION });
    expect(statSync(join(path, "membership")).mode & 0o777).toBe(0o600);
    const again = await up(path);
    expect(again.membership.tailnet.selfId).toBe(fixture.selfId);
    await again.down();
  });

  test("one that served its registry admits another machine afterwards", async () => {
    const server = await up(layOut(FORMAT_1_STATES.server, "server"));
    const { tailnet, embedded } = server.membership;
    await tailnet.sync();
    const { createJoinKey } = await import("../../src/daemon/decide/create-join-key.ts");
    const registries = [{ urls: embedded!.own.urls, token: embedded!.own.token!, pin: embedded!.own.pin }];
    const { key } = await createJoinKey(tailnet, joinKeyRequest({ registries }));
    const machine = await up(join(folder, "machine"), { joinKey: key, name: "new" });
    expect(machine.membership.tailnet.id).toBe(tailnet.id);
    expect(machine.membership.tailnet.self!.name).toBe("new");
    await machine.down();
    await server.down();
  });

  test("a step that is cut off anywhere, and one that is run twice, end the same", () => {
    for (const [, { files }] of FIXTURES) {
      const before = storeOf(files).get("membership")!;
      const whole = expectSameWhereverCut(files, 1);
      expect(whole.get("membership")).not.toEqual(before);
      const load = (name: string) => withoutChecksum(name, whole.get(name)!);
      expect(loadMembership({ load, save() {} })!.epochs).toHaveLength(1);
    }
  });

  test("a folder that lost its version is brought up to date all the same; what is no membership is left alone", () => {
    const path = layOut(FORMAT_1_STATES.member, "member");
    rmSync(join(path, "version.json"));
    StateDirectory.open(path).close();
    expect(readFileSync(join(path, "membership"))[0]).toBe(2);
    for (const damaged of [new Uint8Array(), Uint8Array.of(1), Uint8Array.of(1, 2, 3), new Uint8Array(200).fill(1)]) {
      const store = new Map<string, Uint8Array>([["membership", damaged]]);
      upgradeIn(store, 1);
      expect([...store]).toEqual([["membership", withChecksum("membership", damaged)]]);
    }
  });
});

describe("format 2", () => {
  test.each(FIXTURES_2)("a %s comes up as what it was", async (name, fixture) => {
    const path = layOut(fixture, name);
    const { membership, down } = await up(path);
    const { tailnet } = membership;
    expect([tailnet.selfId, tailnet.id, tailnet.epoch]).toEqual([fixture.selfId, fixture.tailnetId, 1]);
    expect(tailnet.chain.head.number).toBe(fixture.headNumber);
    expect(tailnet.chain.head.hash.toHex()).toBe(fixture.headHash);
    expect([...tailnet.state.members.keys()].every((id) => tailnet.records.has(id))).toBe(true);
    expect(membership.embedded !== undefined).toBe(name === "server");
    expect(tailnet.health().some(({ code }) => code === "writes-held")).toBe(name === "member");
    await down();
    expectUpgraded(path, fixture);
    const again = await up(path);
    expect(again.membership.tailnet.selfId).toBe(fixture.selfId);
    await again.down();
  });

  test("the step that is cut off anywhere, and run twice, ends the same", () => {
    for (const [, { files }] of FIXTURES_2) {
      const whole = expectSameWhereverCut(files, 2);
      for (const [name, text] of Object.entries(files)) {
        const isChecked = !name.endsWith(".json");
        const content = bytesOf(name, text);
        expect(whole.get(name)).toEqual(isChecked ? withChecksum(name, content) : content);
      }
    }
  });
});

describe("an upgrade that a kill cuts off", () => {
  test.each([...FIXTURES, ...FIXTURES_2.map(([name, each]) => [`${name} of format 2`, each] as const)])(
    "goes on at the next start, at whichever file it was, and an earlier minitail refuses the folder: %s",
    (name, fixture) => {
      const whole = layOut(fixture, `${name} whole`);
      StateDirectory.open(whole).close();
      const binary = Object.keys(fixture.files).filter((each) => !each.endsWith(".json"));
      for (let done = 0; done <= binary.length; done++) {
        const path = layOut(fixture, `${name} ${done}`);
        for (const each of binary.slice(0, done)) cpSync(join(whole, each), join(path, each));
        writeFileSync(join(path, `${binary[done] ?? binary[0]}.new`), "cut o");
        const { format } = JSON.parse(fixture.files["version.json"]!) as { readonly format: number };
        writeFileSync(join(path, "version.json"), JSON.stringify({ format: FORMAT_VERSION, upgradingFrom: format }));
        StateDirectory.open(path).close();
        expectUpgraded(path, fixture);
        for (const each of binary) expect(readFileSync(join(path, each))).toEqual(readFileSync(join(whole, each)));
      }
    },
  );

  test("says so on disk before the first file is another", () => {
    const path = layOut(FORMAT_2_STATES.server, "server");
    // The first file that it comes to cannot be written.
    mkdirSync(join(path, "identity.new"));
    expect(() => StateDirectory.open(path)).toThrow(expect.objectContaining({ code: "state-unwritable" }));
    expect(JSON.parse(readFileSync(join(path, "version.json"), "utf8"))).toEqual({ format: 3, upgradingFrom: 2 });
    rmSync(join(path, "identity.new"), { recursive: true, force: true });
    StateDirectory.open(path).close();
    expectUpgraded(path, FORMAT_2_STATES.server);
  });

  test.each(['{"format":3,"upgradingFrom":"2"}', '{"format":3,"upgradingFrom":0}', '{"upgradingFrom":2}', "null", "3"])(
    "%s is no version",
    (text) => {
      const path = layOut(FORMAT_2_STATES.server, "server");
      writeFileSync(join(path, "version.json"), text);
      expect(() => StateDirectory.open(path)).toThrow(expect.objectContaining({ code: "state-damaged" }));
    },
  );
});

function storeOf(files: StateFixture["files"]): Map<string, Uint8Array> {
  return new Map(Object.entries(files).map(([name, text]) => [name, bytesOf(name, text)]));
}

/** Killed where it has written `writesLeft` times. */
function upgradeIn(store: Map<string, Uint8Array>, format: number, writesLeft = Number.POSITIVE_INFINITY): void {
  let writes = writesLeft;
  upgradeState(
    {
      read: (name) => store.get(name),
      write(name, contents) {
        if (writes-- === 0) throw new Error("killed");
        store.set(name, contents);
      },
    },
    format,
  );
}

/** Answers the store as it is where nothing was cut off. */
function expectSameWhereverCut(files: StateFixture["files"], format: number): Map<string, Uint8Array> {
  const whole = storeOf(files);
  upgradeIn(whole, format);
  for (let writes = 0, isKilled = true; isKilled; writes++) {
    const store = storeOf(files);
    try {
      upgradeIn(store, format, writes);
      isKilled = false;
    } catch {
      // As a kill would.
    }
    upgradeIn(store, format);
    expect([...store]).toEqual([...whole]);
  }
  return whole;
}

/** Every file that is no text ends with its checksum, and the folder is of the present format. */
function expectUpgraded(path: string, fixture: StateFixture): void {
  expect(JSON.parse(readFileSync(join(path, "version.json"), "utf8"))).toEqual({ format: FORMAT_VERSION });
  const names = readdirSync(path);
  expect(names).toEqual(expect.arrayContaining(Object.keys(fixture.files)));
  for (const name of names.filter((each) => !/^lock$|\.(json|new)$|^registry\.sqlite/.test(each))) {
    expect([name, withoutChecksum(name, new Uint8Array(readFileSync(join(path, name)))) !== undefined]).toEqual([
      name,
      true,
    ]);
  }
}
