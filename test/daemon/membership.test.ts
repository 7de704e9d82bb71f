/** Coming to a tailnet over an embedded registry on loopback, killed at every write, and with every file damaged. */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isMinitailError } from "../../src/base/errors.ts";
import { silentLog } from "../../src/base/log.ts";
import { approveMachine } from "../../src/daemon/decide/approve-machine.ts";
import { createJoinKey } from "../../src/daemon/decide/create-join-key.ts";
import { removeNode } from "../../src/daemon/decide/remove-node.ts";
import { revokeKey } from "../../src/daemon/decide/revoke-key.ts";
import { establishMembership, type Membership, type MembershipOptions } from "../../src/daemon/membership.ts";
import type { UpOptions } from "../../src/daemon/options.ts";
import { urlsToGive } from "../../src/daemon/registry-connection.ts";
import { settleSettings } from "../../src/daemon/settings.ts";
import { StateDirectory } from "../../src/daemon/state-directory.ts";
import { formatJoinKey, parseJoinKey } from "../../src/trust/join-key.ts";
import { NO_TERMS } from "../../src/trust/terms.ts";
import { joinKeyRequest } from "./tailnet-fixture.ts";

const SECRET = "correct horse battery staple orbit";
const LIMIT_MS = 120_000;
/** What is waited for in vain takes longer: see rest-registry.ts. */
const REQUEST_TIMES_OUT_MS = 15_000;

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "minitail-membership-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Nothing was given. */
const NOTHING = { stateDirectory: "", socketPath: "" } as UpOptions;

/** A machine of the test: a state directory, and what is running on it. */
class Machine {
  readonly path: string;
  readonly listen: string;
  #state: StateDirectory | undefined;
  membership: Membership | undefined;
  /** All changes of files after so many fail: nothing comes to the disk after a kill. */
  changesLeft = Number.POSITIVE_INFINITY;
  /** What a person does who is shown a code. */
  static onApproval: MembershipOptions["onApproval"] = () => {};

  constructor(name: string, port = 0) {
    this.path = join(folder, name);
    this.listen = `127.0.0.1:${port}`;
  }

  async up(options: Partial<UpOptions> = {}, killedAfter = Number.POSITIVE_INFINITY): Promise<Membership> {
    this.changesLeft = killedAfter;
    const state = StateDirectory.open(this.path);
    this.#state = state;
    const write = state.write.bind(state);
    const remove = state.remove.bind(state);
    const live = () => {
      if (--this.changesLeft < 0) throw new Error("killed");
    };
    state.write = (name, contents) => {
      live();
      write(name, contents);
    };
    state.remove = (name) => {
      live();
      remove(name);
    };
    const given: UpOptions = { ...NOTHING, name: "machine", pool: "10.11.12.0/24", listen: [this.listen], ...options };
    this.membership = await establishMembership({
      state,
      settings: settleSettings(state, given),
      options: given,
      log: silentLog,
      signal: AbortSignal.timeout(LIMIT_MS),
      onWaiting() {},
      onApproval: (shown) => Machine.onApproval(shown),
    });
    return this.membership;
  }

  async down(): Promise<void> {
    const { tailnet, registry, embedded } = this.membership ?? {};
    tailnet?.stop();
    registry?.close();
    await embedded?.stop();
    this.membership = undefined;
    this.#state?.close();
  }

  async createKey(): Promise<string> {
    const { tailnet, embedded } = this.membership!;
    const registries = [{ urls: embedded!.own.urls, token: embedded!.own.token!, pin: embedded!.own.pin }];
    return (await createJoinKey(tailnet, joinKeyRequest({ reusable: true, registries }))).key;
  }
}

async function freePort(): Promise<number> {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
  const { port } = server;
  await server.stop(true);
  return port!;
}

/** A machine that made a tailnet, always at the same port. */
async function makeServer(options: Partial<UpOptions> = {}): Promise<Machine> {
  const server = new Machine("server", await freePort());
  await server.up(options);
  return server;
}

/** Kills a start after every number of changes until one is through; the starts after it must end as `isWell` wants. */
async function killAtEveryChange(
  up: Partial<UpOptions>,
  again: Partial<UpOptions>,
  isWell: (machine: Machine, first: Membership) => void,
): Promise<number> {
  for (let killedAfter = 0; ; killedAfter++) {
    const machine = new Machine(`machine-${killedAfter}`);
    const wasKilled = await machine.up(up, killedAfter).then(
      () => false,
      (error: Error) => {
        expect(error.message).toBe("killed");
        return true;
      },
    );
    await machine.down();
    isWell(machine, await machine.up(again));
    const { selfId } = machine.membership!.tailnet;
    await machine.down();
    expect((await machine.up()).tailnet.selfId).toBe(selfId);
    await machine.down();
    if (!wasKilled) return killedAfter;
  }
}

describe("killed at every change of the state directory", () => {
  test(
    "while it makes a tailnet",
    async () => {
      const changes = await killAtEveryChange({}, {}, (_, { tailnet, embedded }) => {
        expect([...tailnet.state.members.keys()]).toEqual([tailnet.selfId]);
        expect(embedded).toBeDefined();
      });
      expect(changes).toBeGreaterThanOrEqual(5);
    },
    LIMIT_MS,
  );

  test.each([["the same key"], ["a bare up"]])(
    "while it joins, then %s",
    async (then) => {
      const server = await makeServer();
      const joinKey = await server.createKey();
      let machines = 1;
      const changes = await killAtEveryChange({ joinKey }, { joinKey }, (_, { tailnet, embedded }) => {
        expect(tailnet.id).toBe(server.membership!.tailnet.id);
        expect(tailnet.state.members.size).toBe(++machines);
        expect(embedded).toBeUndefined();
      });
      expect(changes).toBeGreaterThanOrEqual(5);
      if (then === "a bare up") {
        // Settings and intent are the first on disk: from then on nothing has to be said again.
        for (let killedAfter = 2; killedAfter < changes; killedAfter++) {
          const machine = new Machine(`bare-${killedAfter}`);
          await machine.up({ joinKey }, killedAfter).catch(() => {});
          await machine.down();
          expect((await machine.up()).tailnet.id).toBe(server.membership!.tailnet.id);
          await machine.down();
        }
      }
      await server.down();
    },
    LIMIT_MS,
  );

  test(
    "while it asks to be let in, and after it was",
    async () => {
      const server = await makeServer();
      const { tailnet, embedded } = server.membership!;
      const registries = [{ urls: embedded!.own.urls, token: embedded!.own.token!, pin: embedded!.own.pin }];
      const asking = { registryUrl: urlsToGive(embedded!.own)[0]! };
      const approvals = new Map<string, Promise<unknown>>();
      Machine.onApproval = (shown) => {
        if (!shown || approvals.has(shown.code)) return;
        const { code, nodeId: id } = shown;
        approvals.set(code, approveMachine(tailnet, { code, id, terms: NO_TERMS, registries }));
      };
      let machines = 1;
      const changes = await killAtEveryChange(asking, asking, (_, membership) => {
        expect(membership.tailnet.id).toBe(tailnet.id);
        expect(membership.tailnet.state.members.size).toBe(++machines);
      });
      Machine.onApproval = () => {};
      await Promise.all(approvals.values());
      expect(changes).toBeGreaterThanOrEqual(7);
      await server.down();
    },
    LIMIT_MS,
  );

  test(
    "while it serves a shared secret's tailnet",
    async () => {
      const ids = new Set<string>();
      await killAtEveryChange({ secret: SECRET }, { secret: SECRET }, (_, { tailnet }) => {
        ids.add(tailnet.id);
        expect(tailnet.state.members.size).toBe(1);
      });
      expect(ids.size).toBe(1);
    },
    LIMIT_MS,
  );
});

/** Who is killed then has a chain that is behind its network keys, or ahead of them, or either behind the registry's. */
describe("killed at every change of the state directory while an epoch ends", () => {
  /** False where `doing` was killed. */
  async function wasThrough(doing: Promise<unknown>): Promise<boolean> {
    return doing.then(
      () => true,
      (error: Error) => {
        expect(error.message).toContain("killed");
        return false;
      },
    );
  }

  /** An epoch ends by the server's word. */
  async function endEpoch(server: Machine): Promise<void> {
    const { tailnet } = server.membership!;
    await server.createKey();
    await revokeKey(tailnet, [...tailnet.state.joinKeys.keys()].at(-1)!);
  }

  /** After a restart of `killed`: both come to one epoch, can go on to the next, and read what the other says. */
  async function expectGoesOn(killed: Machine, server: Machine, member: Machine): Promise<void> {
    await killed.down();
    // As the daemon does once it carries packets; what the registry takes is settled then.
    (await killed.up()).tailnet.start();
    for (const { membership } of [server, member, server]) await membership!.tailnet.sync();
    const [ours, theirs] = [server.membership!.tailnet, member.membership!.tailnet];
    const expectAlike = () => {
      expect(theirs.chain.head).toEqual(ours.chain.head);
      expect([theirs.lacksNetworkKey, ours.lacksNetworkKey]).toEqual([false, false]);
      expect(theirs.epochSecret).toEqual(ours.epochSecret);
    };
    expectAlike();
    const before = ours.epoch;
    await endEpoch(server);
    await theirs.sync();
    expect(ours.epoch).toBe(before + 1);
    expectAlike();
  }

  test.each(["server", "member"] as const)(
    "on the %s",
    async (role) => {
      const kills: number[] = [];
      for (let killedAfter = 0; ; killedAfter++) {
        const server = new Machine(`server-${killedAfter}`, await freePort());
        await server.up();
        const member = new Machine(`member-${killedAfter}`);
        await member.up({ joinKey: await server.createKey() });
        const killed = role === "server" ? server : member;
        if (role === "member") await endEpoch(server);
        killed.changesLeft = killedAfter;
        const isThrough = await wasThrough(role === "server" ? endEpoch(server) : member.membership!.tailnet.sync());
        await expectGoesOn(killed, server, member);
        await member.down();
        await server.down();
        if (isThrough) break;
        kills.push(killedAfter);
      }
      expect(kills.length).toBeGreaterThanOrEqual(2);
    },
    LIMIT_MS,
  );
});

describe("a state directory with one file damaged", () => {
  const DAMAGES: readonly [string, (path: string) => void][] = [
    ["is gone", (path) => rmSync(path, { force: true })],
    ["is empty", (path) => writeFileSync(path, "")],
    ["is cut", (path) => writeFileSync(path, readFileSync(path).subarray(0, -2))],
    ["is other bytes", (path) => writeFileSync(path, Buffer.alloc(300, 0xa5))],
    ["is other JSON", (path) => writeFileSync(path, '[{"urls":7}]')],
  ];

  /** Each damage to each file: the same node comes up, or it is said what is wrong, and a new identity is never made. */
  async function damageAll(machine: Machine, options: Partial<UpOptions>): Promise<string[]> {
    await machine.up(options);
    const { selfId } = machine.membership!.tailnet;
    await machine.down();
    const outcomes: string[] = [];
    for (const name of readdirSync(machine.path).filter((each) => each !== "lock")) {
      const path = join(machine.path, name);
      const copy = join(folder, "copy");
      copyFileSync(path, copy);
      const identity = readFileSync(join(machine.path, "identity"));
      for (const [what, damage] of DAMAGES) {
        damage(path);
        const outcome = await machine.up().then(
          ({ tailnet }) => (tailnet.selfId === selfId ? "same node" : "another node"),
          (error: unknown) => (isMinitailError(error) ? error.code : String(error)),
        );
        outcomes.push(outcome);
        expect({ name, what, outcome }).toEqual({
          name,
          what,
          outcome: expect.stringMatching(/^(same node|state-damaged)$/),
        });
        await machine.down();
        if (name === "identity" && what === "is gone") expect(readdirSync(machine.path)).not.toContain("identity");
        copyFileSync(copy, path);
        expect(readFileSync(join(machine.path, "identity"))).toEqual(identity);
        for (const left of ["intent.json", ...sqliteLogs(machine)]) rmSync(join(machine.path, left), { force: true });
      }
      expect((await machine.up()).tailnet.selfId).toBe(selfId);
      await machine.down();
    }
    return outcomes;
  }

  /** Of a database that was put back they would be another's. */
  function sqliteLogs(machine: Machine): string[] {
    return readdirSync(machine.path).filter((name) => /-(wal|shm)$/.test(name));
  }

  test("in one byte, where it holds keys or what was verified: it is named", async () => {
    const machine = new Machine("server", await freePort());
    await machine.up();
    await machine.down();
    for (const name of ["identity", "node-key", "membership", "chain", "registry-keys"]) {
      const path = join(machine.path, name);
      const whole = readFileSync(path);
      for (const offset of [0, 20, 40, 56, whole.length - 1].filter((each) => each < whole.length)) {
        writeFileSync(path, Buffer.from(whole.map((byte, i) => (i === offset ? byte ^ 1 : byte))));
        await expect(machine.up()).rejects.toMatchObject({
          code: "state-damaged",
          message: `${path} is damaged: its checksum is wrong`,
        });
        await machine.down();
      }
      writeFileSync(path, whole);
    }
    await machine.up();
    await machine.down();
  });

  test("of the machine that serves the registry", async () => {
    const outcomes = await damageAll(new Machine("server", await freePort()), {});
    expect(new Set(outcomes)).toEqual(new Set(["same node", "state-damaged"]));
  }, 30_000);

  test("of a member", async () => {
    const server = await makeServer();
    const outcomes = await damageAll(new Machine("member"), { joinKey: await server.createKey() });
    expect(new Set(outcomes)).toEqual(new Set(["same node", "state-damaged"]));
    await server.down();
  }, 30_000);
});

describe("what was asked for", () => {
  const codeOf = (action: Promise<unknown>) =>
    action.then(
      () => "done",
      (error: unknown) => (isMinitailError(error) ? error.code : String(error)),
    );

  test("a machine that could not serve a registry and then joined follows the one that it joined by", async () => {
    const server = await makeServer();
    const taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const machine = new Machine("machine", taken.port);
    expect(await codeOf(machine.up())).toBe("port-taken");
    await machine.down();
    taken.stop(true);
    await machine.up({ joinKey: await server.createKey() });
    await machine.down();
    const { embedded, registry } = await machine.up();
    expect(embedded).toBeUndefined();
    expect(registry.url).toBe(server.membership!.registry.url);
    await machine.down();
    await server.down();
  });

  test(
    "a member refuses another tailnet's key or secret, and takes its own again",
    async () => {
      const server = await makeServer({ secret: SECRET });
      const other = new Machine("other", await freePort());
      await other.up();
      const foreignKey = await other.createKey();
      const machine = new Machine("machine");
      await machine.up({ joinKey: await server.createKey() });
      await machine.down();
      expect(await codeOf(machine.up({ joinKey: foreignKey }))).toBe("usage");
      await machine.down();
      expect(await codeOf(machine.up({ secret: "another secret altogether" }))).toBe("usage");
      await machine.down();
      expect(await codeOf(machine.up({ secret: SECRET }))).toBe("done");
      await machine.down();
      await server.down();
      await other.down();
    },
    LIMIT_MS,
  );

  test(
    "who was removed comes back by the secret, by a signer's yes, and not by a join key",
    async () => {
      const server = await makeServer({ secret: SECRET });
      const { tailnet, embedded } = server.membership!;
      const registryUrl = urlsToGive(embedded!.own)[0]!;
      const machine = new Machine("machine");
      await machine.up({ registryUrl, secret: SECRET });
      const { selfId } = machine.membership!.tailnet;
      const remove = async () => {
        await tailnet.sync();
        await removeNode(tailnet, { node: selfId, withMachines: false });
        await machine.membership!.tailnet.sync();
        await machine.down();
      };
      await remove();
      expect(await codeOf(machine.up())).toBe("machine-removed");
      await machine.down();
      expect(await codeOf(machine.up({ joinKey: await server.createKey() }))).toBe("machine-removed");
      await machine.down();
      expect((await machine.up({ registryUrl, secret: SECRET })).tailnet.selfId).toBe(selfId);
      await remove();
      const registries = [{ urls: embedded!.own.urls, token: embedded!.own.token!, pin: embedded!.own.pin }];
      Machine.onApproval = (shown) => {
        if (shown) void approveMachine(tailnet, { code: shown.code, id: selfId, terms: NO_TERMS, registries });
      };
      expect((await machine.up({ registryUrl })).tailnet.self!.name).toBe("machine-1");
      Machine.onApproval = () => {};
      await machine.down();
      expect((await machine.up()).tailnet.selfId).toBe(selfId);
      await machine.down();
      await server.down();
    },
    LIMIT_MS,
  );

  test("a new key of its own tailnet tells a member where the registry is now", async () => {
    const server = await makeServer();
    const joinKey = await server.createKey();
    const machine = new Machine("machine");
    await machine.up({ joinKey });
    await machine.down();
    const parsed = parseJoinKey(joinKey);
    const url = "https://127.0.0.2:7411";
    const moved = formatJoinKey({ ...parsed, registries: parsed.registries.map((each) => ({ ...each, urls: [url] })) });
    expect((await machine.up({ joinKey: moved })).registry.url).toBe(url);
    await machine.down();
    expect((await machine.up()).registry.url).toBe(url);
    await machine.down();
    await server.down();
  });

  test("an old key works as soon as a registry that was emptied is served again", async () => {
    const server = await makeServer();
    const joinKey = await server.createKey();
    await server.down();
    for (const name of readdirSync(server.path).filter((each) => each.startsWith("registry.sqlite"))) {
      rmSync(join(server.path, name));
    }
    await server.up();
    await server.membership!.tailnet.sync();
    const machine = new Machine("machine");
    const startMs = performance.now();
    expect((await machine.up({ joinKey })).tailnet.state.members.size).toBe(2);
    expect(performance.now() - startMs).toBeLessThan(REQUEST_TIMES_OUT_MS);
    await machine.down();
    await server.down();
  });

  test("to be given up while it waits ends at once", async () => {
    const server = await makeServer();
    const joinKey = await server.createKey();
    await server.down();
    const silent = Bun.listen({
      hostname: "127.0.0.1",
      port: Number(server.listen.split(":")[1]),
      socket: { data() {} },
    });
    const state = StateDirectory.open(join(folder, "machine"));
    const stop = new AbortController();
    const settings = {
      name: "m",
      pool: [],
      interfaceName: "",
      port: 0,
      mtuBytes: 1280,
      listen: [],
      suffix: "mesh",
      dataPlane: "plain" as const,
      offloads: [],
    };
    const options = { ...NOTHING, joinKey };
    const input = { state, settings, options, log: silentLog, signal: stop.signal, onWaiting() {}, onApproval() {} };
    const ending = codeOf(establishMembership(input));
    const startMs = performance.now();
    setImmediate(() => stop.abort());
    expect(await ending).toBe("registry-unreachable");
    expect(performance.now() - startMs).toBeLessThan(REQUEST_TIMES_OUT_MS);
    silent.stop(true);
    state.close();
  });
});
