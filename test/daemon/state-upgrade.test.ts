/** State directories of earlier formats: real files, as that version wrote them. */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "../../src/base/log.ts";
import { establishMembership, type Membership } from "../../src/daemon/membership.ts";
import type { UpOptions } from "../../src/daemon/options.ts";
import { settleSettings } from "../../src/daemon/settings.ts";
import { StateDirectory } from "../../src/daemon/state-directory.ts";
import { FORMAT_VERSION, upgradeState } from "../../src/daemon/state-upgrade.ts";
import { loadMembership } from "../../src/daemon/tailnet-store.ts";
import { FORMAT_1_STATES, type StateFixture } from "./format-1-state.ts";
import { joinKeyRequest } from "./tailnet-fixture.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "minitail-upgrade-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const FIXTURES = Object.entries(FORMAT_1_STATES);

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
      const upgrade = (store: Map<string, Uint8Array>, writesLeft: number) => {
        let writes = writesLeft;
        upgradeState(
          {
            read: (name) => store.get(name),
            write(name, contents) {
              if (writes-- === 0) throw new Error("killed");
              store.set(name, contents);
            },
          },
          1,
        );
      };
      const original = () => new Map(Object.entries(files).map(([name, text]) => [name, bytesOf(name, text)]));
      const whole = original();
      upgrade(whole, Number.POSITIVE_INFINITY);
      for (let writes = 0; writes < 3; writes++) {
        const store = original();
        try {
          upgrade(store, writes);
        } catch {
          // As a kill would.
        }
        upgrade(store, Number.POSITIVE_INFINITY);
        expect([...store]).toEqual([...whole]);
      }
      const before = original().get("membership")!;
      expect(whole.get("membership")).not.toEqual(before);
      const load = (name: string) => whole.get(name);
      expect(loadMembership({ load, save() {} })!.epochs).toHaveLength(1);
    }
  });

  test("a folder that lost its version is brought up to date all the same; what is no membership is left alone", () => {
    const path = layOut(FORMAT_1_STATES.member, "member");
    rmSync(join(path, "version.json"));
    StateDirectory.open(path).close();
    expect(readFileSync(join(path, "membership"))[0]).toBe(2);
    for (const damaged of [new Uint8Array(), Uint8Array.of(1), Uint8Array.of(1, 2, 3), new Uint8Array(200).fill(1)]) {
      const written: string[] = [];
      upgradeState({ read: () => damaged, write: (name) => written.push(name) }, 1);
      expect(written).toEqual([]);
    }
  });
});
