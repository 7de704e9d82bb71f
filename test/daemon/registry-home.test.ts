/** The registry while it is followed: tokens of epochs, moves, another address, and what a person says. */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAddress, parseEndpoint } from "../../src/base/ip.ts";
import { silentLog } from "../../src/base/log.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { createJoinKey } from "../../src/daemon/decide/create-join-key.ts";
import { moveRegistry } from "../../src/daemon/decide/move-registry.ts";
import { removeNode } from "../../src/daemon/decide/remove-node.ts";
import { revokeKey } from "../../src/daemon/decide/revoke-key.ts";
import {
  generateRegistryToken,
  readEmbeddedRegistryKeys,
  startEmbeddedRegistry,
} from "../../src/daemon/embedded-registry.ts";
import { establishMembership, type Membership } from "../../src/daemon/membership.ts";
import type { UpOptions } from "../../src/daemon/options.ts";
import { backUpRegistry } from "../../src/daemon/registry-backup.ts";
import { readServingCapability, servingCapability } from "../../src/daemon/registry-serving.ts";
import { settleSettings } from "../../src/daemon/settings.ts";
import { StateDirectory } from "../../src/daemon/state-directory.ts";
import { openRegistry } from "../../src/registry/open.ts";
import { Keyspace } from "../../src/registry/server/keyspace.ts";
import { DEFAULT_LIMITS } from "../../src/registry/server/limits.ts";
import { type RegistryServer, startRegistryServer } from "../../src/registry/server/start.ts";
import { rejection, until } from "../registry/until.ts";
import { joinKeyRequest, recordContent } from "./tailnet-fixture.ts";

const LIMIT_MS = 120_000;
const SECRET = "correct horse battery staple orbit";
const NEW_TOKEN = "token-of-the-new-registry";

let folder = "";
const machines: Machine[] = [];
const servers: RegistryServer[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "minitail-registry-home-"));
});
afterEach(async () => {
  for (const machine of machines.splice(0)) await machine.down();
  for (const server of servers.splice(0)) await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** A machine of the test: a state directory, and the membership that runs on it. */
class Machine {
  readonly path: string;
  readonly #listen: string;
  #state: StateDirectory | undefined;
  #membership: Membership | undefined;

  constructor(name: string, port = 0) {
    this.path = join(folder, name);
    this.#listen = `127.0.0.1:${port}`;
    machines.push(this);
  }

  get membership(): Membership {
    return this.#membership!;
  }

  get tailnet() {
    return this.membership.tailnet;
  }

  get home() {
    return this.membership.registryHome;
  }

  async up(options: Partial<UpOptions> = {}): Promise<void> {
    const state = StateDirectory.open(this.path);
    this.#state = state;
    const given = { name: "machine", pool: "10.11.12.0/24", listen: [this.#listen], ...options } as UpOptions;
    this.#membership = await establishMembership({
      state,
      settings: settleSettings(state, given),
      options: given,
      log: silentLog,
      signal: AbortSignal.timeout(LIMIT_MS),
      onWaiting() {},
      onApproval() {},
    });
    this.tailnet.start();
  }

  async down(): Promise<void> {
    this.#membership?.tailnet.stop();
    this.#membership?.registry.close();
    await this.#membership?.embedded?.stop();
    this.#membership = undefined;
    this.#state?.close();
    this.#state = undefined;
  }

  /** A reusable key that names the registry where this machine follows it. */
  async createKey(): Promise<string> {
    const registries = this.home.addresses.map(({ urls, token, pin }) => ({ urls, token: token ?? "", pin }));
    return (await createJoinKey(this.tailnet, joinKeyRequest({ reusable: true, registries }))).key;
  }

  async says(text: string): Promise<void> {
    await this.membership.registry.set("said", text);
  }
}

async function newRegistry(): Promise<RegistryServer> {
  const server = await startRegistryServer({
    listen: "127.0.0.1:0",
    dataFile: ":memory:",
    tokens: { newest: NEW_TOKEN },
  });
  servers.push(server);
  return server;
}

/** The first machine, which serves the registry, and others that joined it. */
async function makeMachines(...names: string[]): Promise<Machine[]> {
  const first = new Machine("first");
  await first.up();
  const others = names.map((name) => new Machine(name));
  const key = await first.createKey();
  for (const other of others) await other.up({ joinKey: key });
  return [first, ...others];
}

const isAt = (machine: Machine, server: RegistryServer) => machine.membership.registry.url.endsWith(`:${server.port}`);

describe("tokens of an epoch", () => {
  test(
    "the newest writes, older ones read, the same client goes on, and all is so after a restart",
    async () => {
      const [first, other] = await makeMachines("other");
      const [oldest] = first!.home.addresses.map(({ token }) => token!);
      const newest = generateRegistryToken(systemRandom);
      first!.home.setTokens({ newest, older: [oldest!] });
      await first!.says("by the newest");
      expect(await other!.membership.registry.get("said")).toBe("by the newest");
      expect(await rejection(other!.says("by an older one"))).toMatchObject({ code: "wrong-token" });
      other!.home.setTokens({ newest, older: [oldest!] });
      await other!.says("by the other");

      const url = first!.home.addresses[0]!.urls[0]!;
      const port = Number(new URL(url).port);
      await first!.down();
      const state = StateDirectory.open(first!.path);
      const keys = readEmbeddedRegistryKeys(state)!;
      expect(keys).toMatchObject({ token: newest, olderTokens: [oldest] });
      const again = await startEmbeddedRegistry(state, [`127.0.0.1:${port}`], keys, silentLog);
      const late = openRegistry(url, { token: oldest!, pin: again.pin });
      expect(await late.get("said")).toBe("by the other");
      expect(await rejection(late.set("said", "x"))).toMatchObject({ code: "wrong-token" });
      late.close();
      await again.stop();
      expect(statSync(state.file("registry-keys")).mode & 0o777).toBe(0o600);
      state.close();
    },
    LIMIT_MS,
  );

  test(
    "change on all machines when another signer than the one that serves ends an epoch",
    async () => {
      const first = new Machine("first");
      await first.up({ secret: SECRET });
      const url = first.home.addresses[0]!.urls[0]!;
      const [signer, other] = [new Machine("signer"), new Machine("other")];
      for (const machine of [signer, other]) await machine.up({ secret: SECRET, registryUrl: url });
      await first.tailnet.publishRecord({
        ...recordContent(first.tailnet.context),
        capabilities: [servingCapability(first.membership.embedded!)],
      });
      await until("the signer knows who serves", () => signer.tailnet.records.has(first.tailnet.selfId));
      const before = other.home.addresses[0]!.token;
      const key = await createJoinKey(signer.tailnet, joinKeyRequest());
      await revokeKey(signer.tailnet, key.id);
      const tokens = () => [first, signer, other].map((machine) => machine.home.addresses[0]!.token);
      await until("all have one new token", () => tokens().every((each) => each !== before && each === tokens()[0]));
      for (const [i, machine] of [first, signer, other].entries()) await machine.says(`still ${i}`);
      const late = openRegistry(url, { token: before!, pin: first.membership.embedded!.pin });
      expect(await late.get("said")).toBe("still 2");
      expect(await rejection(late.set("said", "x"))).toMatchObject({ code: "wrong-token" });
      late.close();
    },
    LIMIT_MS,
  );

  test(
    "are of no account where the registry is not ours",
    async () => {
      const server = await newRegistry();
      const machine = new Machine("machine");
      await machine.up({ secret: SECRET, registryUrl: server.url, token: NEW_TOKEN });
      machine.home.setTokens({ newest: "something", older: ["something older"] });
      machine.home.setTokens({ newest: "", older: [] });
      await machine.says("hello");
    },
    LIMIT_MS,
  );
});

describe("a move", () => {
  test(
    "takes along every member, who was off and who comes by an old key, and fills the new registry",
    async () => {
      const [first, on, off] = await makeMachines("on", "off");
      const oldKey = await first!.createKey();
      await off!.down();
      const server = await newRegistry();
      const moved = await moveRegistry(first!.tailnet, first!.home, { url: server.url, token: NEW_TOKEN });
      expect(moved).toEqual({
        url: `https://127.0.0.1:${server.port}`,
        oldOneTold: true,
        chainLength: first!.tailnet.chain.statements.length,
      });
      await until("the member that runs follows", () => isAt(on!, server));
      await off!.up();
      await until("the one that was off follows", () => isAt(off!, server));

      const newcomer = new Machine("newcomer");
      await newcomer.up({ joinKey: oldKey });
      expect(isAt(newcomer, server)).toBe(true);
      const heads = [first, on, off, newcomer].map((machine) => () => machine!.tailnet.chain.head.number);
      await until("all have the newcomer", () => heads.every((head) => head() === heads[0]!()));
      expect(on!.tailnet.state.members.size).toBe(4);
      for (const machine of [first, on, off]) {
        expect(machine!.tailnet.health().map(({ code }) => code)).not.toContain("registry-lost-data");
      }

      // Without the machine that served the old one, and after a restart.
      await first!.down();
      await on!.down();
      await on!.up();
      await on!.tailnet.sync();
      expect(isAt(on!, server)).toBe(true);
      const again = new Machine("first");
      await again.up();
      expect(isAt(again, server)).toBe(true);
      await again.tailnet.sync();
      const laterNewcomer = new Machine("later");
      await laterNewcomer.up({ joinKey: await again.createKey() });
      await until("it is known", () => on!.tailnet.state.members.size === 5);
    },
    LIMIT_MS,
  );

  test(
    "from a registry that is gone for good; who missed it learns it by a peer, or is told by a person",
    async () => {
      const first = new Machine("first");
      await first.up({ secret: SECRET });
      const url = first.home.addresses[0]!.urls[0]!;
      const [signer, byPeer, byPerson] = [new Machine("signer"), new Machine("peer"), new Machine("person")];
      for (const machine of [signer, byPeer, byPerson]) await machine.up({ secret: SECRET, registryUrl: url });
      await signer.tailnet.sync();
      await first.down();
      const server = await newRegistry();
      const moved = await moveRegistry(signer.tailnet, signer.home, { url: server.url, token: NEW_TOKEN });
      expect(moved).toMatchObject({ oldOneTold: false, chainLength: signer.tailnet.chain.statements.length });
      expect(isAt(byPeer, server)).toBe(false);

      const known = byPeer.tailnet.chain.statements.length;
      byPeer.tailnet.takeNews({ statements: signer.tailnet.chain.statements.slice(known), records: [] });
      await until("who met a peer follows", () => isAt(byPeer, server));
      await byPeer.tailnet.sync();

      await byPerson.down();
      expect(await rejection(byPerson.up({ registryUrl: server.url, token: "wrong" }))).toMatchObject({
        code: "wrong-token",
      });
      await byPerson.down();
      await byPerson.up({ registryUrl: server.url, token: NEW_TOKEN });
      await byPerson.tailnet.sync();
      expect(byPerson.tailnet.chain.head).toEqual(signer.tailnet.chain.head);
      await byPerson.down();
      await byPerson.up();
      await byPerson.says("it stays there");
    },
    2 * LIMIT_MS,
  );

  test(
    "to another address of the machine that serves it: newcomers come in when epochs have changed its token since",
    async () => {
      const [first, other, removed] = await makeMachines("other", "removed");
      const oldKey = await first!.createKey();
      const url = first!.home.addresses[0]!.urls[0]!;
      await moveRegistry(first!.tailnet, first!.home, { url, token: null });
      await other!.tailnet.sync();
      await removeNode(first!.tailnet, { node: removed!.tailnet.selfId, withMachines: false });
      expect(first!.home.servesOwn).toBe(true);
      await until("the other has the new token", async () => {
        await other!.tailnet.sync();
        return other!.home.addresses[0]!.token === first!.home.addresses[0]!.token;
      });
      await other!.says("by the other");
      for (const [name, joinKey] of [
        ["late", await first!.createKey()],
        ["by-old-key", oldKey],
      ] as const) {
        const newcomer = new Machine(name);
        await newcomer.up({ joinKey });
        await newcomer.says(`by ${name}`);
        await newcomer.down();
        await newcomer.up();
        await newcomer.says(`by ${name} again`);
      }
    },
    LIMIT_MS,
  );

  test(
    "to a registry that cannot be used is refused, and changes nothing",
    async () => {
      const [first, other] = await makeMachines("other");
      await first!.tailnet.sync();
      const { number } = first!.tailnet.chain.head;
      const server = await newRegistry();
      const move = (url: string, token: string | null) =>
        rejection(moveRegistry(first!.tailnet, first!.home, { url, token }));
      expect(await move(server.url, "wrong")).toMatchObject({ code: "wrong-token" });
      expect(await move(`https://127.0.0.1:${server.port}`, NEW_TOKEN)).toMatchObject({ code: "wrong-pin" });
      expect(await move("ftp://127.0.0.1", null)).toMatchObject({ code: "usage" });
      await server.stop();
      expect(await move(server.url, NEW_TOKEN)).toMatchObject({ code: "registry-unreachable" });
      expect(first!.tailnet.chain.head.number).toBe(number);
      const asked = { url: server.url, token: NEW_TOKEN };
      expect(await rejection(moveRegistry(other!.tailnet, other!.home, asked))).toMatchObject({ code: "not-signer" });
    },
    LIMIT_MS,
  );

  test(
    "back to where it was served first, and not twice to the same place",
    async () => {
      const [first, other] = await makeMachines("other");
      const own = first!.home.addresses[0]!;
      const server = await newRegistry();
      const to = { url: server.url, token: NEW_TOKEN };
      await moveRegistry(first!.tailnet, first!.home, to);
      expect(first!.home.servesOwn).toBe(false);
      expect(await rejection(moveRegistry(first!.tailnet, first!.home, to))).toMatchObject({ code: "usage" });
      await until("the other follows", () => isAt(other!, server));
      const back = {
        url: `${own.urls[0]}/#pin=${own.pin!.toBase64({ alphabet: "base64url", omitPadding: true })}`,
        token: own.token!,
      };
      await moveRegistry(first!.tailnet, first!.home, back);
      expect(first!.home.servesOwn).toBe(true);
      await until("the other comes along", () => other!.membership.registry.url === own.urls[0]);
    },
    LIMIT_MS,
  );
});

describe("another address of the machine that serves it", () => {
  test(
    "is found by that machine's record",
    async () => {
      const [first, other] = await makeMachines("other");
      const { pin, port } = first!.membership.embedded!;
      const dead = await newRegistry();
      await dead.stop();
      other!.home.useAddresses([{ ...other!.home.addresses[0]!, urls: [`https://127.0.0.1:${dead.port}`] }]);
      expect(await rejection(other!.membership.registry.ping())).toMatchObject({ code: "registry-unreachable" });
      other!.home.learnFrom([
        {
          capabilities: [servingCapability({ port, pin })],
          endpoints: [parseEndpoint("127.0.0.1:9")!],
          addresses: [parseAddress("127.0.0.3")!],
        },
      ]);
      await other!.says("found");
      expect(other!.membership.registry.url).toBe(`https://127.0.0.1:${port}`);
    },
    LIMIT_MS,
  );

  test("what another member says of its registry does not lead anybody there", async () => {
    const [first, other] = await makeMachines("other");
    const elsewhere = await newRegistry();
    other!.home.learnFrom([
      {
        capabilities: [servingCapability({ port: elsewhere.port, pin: elsewhere.pin! })],
        endpoints: [parseEndpoint("127.0.0.1:9")!],
        addresses: [],
      },
    ]);
    await first!.membership.embedded!.stop();
    expect(await rejection(other!.membership.registry.ping())).toMatchObject({ code: "registry-unreachable" });
    expect(elsewhere.statistics().requests).toBe(0);
  });

  test("the capability is port and pin, or nothing", () => {
    const pin = new Uint8Array(32).fill(7);
    expect(readServingCapability([servingCapability({ port: 7411, pin })])).toEqual({ port: 7411, pin });
    for (const value of [new Uint8Array(33), new Uint8Array(35), new Uint8Array(34)]) {
      expect(readServingCapability([{ id: 2, value }])).toBeUndefined();
    }
    expect(readServingCapability([{ id: 3, value: servingCapability({ port: 1, pin }).value }])).toBeUndefined();
  });
});

describe("up --registry on a member", () => {
  test(
    "with another way to the same registry needs no token; a key of somebody else is refused, and nothing changes",
    async () => {
      const [first, other] = await makeMachines("other");
      const { port } = first!.membership.embedded!;
      await other!.down();
      const somebody = await newRegistry();
      expect(await rejection(other!.up({ registryUrl: `https://127.0.0.1:${somebody.port}` }))).toMatchObject({
        code: "wrong-pin",
      });
      await other!.down();
      await other!.up({ registryUrl: `https://[::ffff:7f00:1]:${port}` });
      await other!.says("by another way");
      expect(other!.membership.registry.url).toBe(`https://[::ffff:7f00:1]:${port}`);
      // The same flag at the next start, as it may stand in the environment, is not checked again.
      await other!.down();
      await first!.down();
      await other!.up({ registryUrl: `https://[::ffff:7f00:1]:${port}` });
    },
    LIMIT_MS,
  );
});

test(
  "up --token on a member: the token of a registry that is not ours was changed by hand",
  async () => {
    const server = await newRegistry();
    const machine = new Machine("machine");
    await machine.up({ secret: SECRET, registryUrl: server.url, token: NEW_TOKEN });
    await machine.down();
    server.access.replace({ newest: "changed-by-hand" });
    expect(await rejection(machine.up({ token: "misspelt" }))).toMatchObject({ code: "wrong-token" });
    await machine.down();
    await machine.up({ token: "changed-by-hand" });
    await machine.says("hello");
    await machine.down();
    await machine.up();
    await machine.says("hello again");
  },
  LIMIT_MS,
);

describe("backup", () => {
  test(
    "is whole while others write, replaces only backups, and opens as the data",
    async () => {
      const [first] = await makeMachines();
      const file = join(folder, "backup.sqlite");
      let writing = true;
      let written = 0;
      const writer = (async () => {
        while (writing) {
          await first!.membership.registry.transaction([
            ["RPUSH", "a", String(written)],
            ["RPUSH", "b", String(written)],
          ]);
          written++;
        }
      })();
      await until("some is written", () => written > 5);
      const before = written;
      backUpRegistry(first!.membership.embedded, { file, force: false });
      await until("more is written", () => written > before + 5);
      backUpRegistry(first!.membership.embedded, { file, force: false });
      writing = false;
      await writer;
      expect(statSync(file).mode & 0o777).toBe(0o600);
      const copy = new Keyspace(file, DEFAULT_LIMITS);
      const { items } = copy.find("a")!;
      expect(items).toBeGreaterThan(before + 5);
      expect(copy.find("b")!.items).toBe(items);
      copy.close();
      expect(() => backUpRegistry(undefined, { file, force: false })).toThrow("does not serve");
    },
    LIMIT_MS,
  );

  test("leaves a file that is something else alone, unless told", async () => {
    const [first] = await makeMachines();
    const { embedded } = first!.membership;
    const file = join(folder, "letter.txt");
    writeFileSync(file, "dear friend");
    expect(() => backUpRegistry(embedded, { file, force: false })).toThrow("is no backup of a registry");
    expect(readFileSync(file, "utf8")).toBe("dear friend");
    expect(() => backUpRegistry(embedded, { file: folder, force: true })).toThrow("is no file");
    expect(() => backUpRegistry(embedded, { file: join(folder, "absent", "x"), force: false })).toThrow(
      expect.objectContaining({ code: "state-unwritable" }),
    );
    expect(backUpRegistry(embedded, { file, force: true }).sizeBytes).toBeGreaterThan(10_000);
  });
});
