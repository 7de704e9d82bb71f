/** What each command asks the daemon, prints, and ends with. */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { MinitailError } from "../../src/base/errors.ts";
import { VERSION } from "../../src/base/version.ts";
import { FakeDaemon } from "./command-run.ts";

let daemon: FakeDaemon;
beforeEach(() => {
  daemon = new FakeDaemon();
});
afterEach(() => daemon.close());

const KEY = {
  id: "k1",
  state: "live",
  reusable: true,
  ephemeral: true,
  tags: ["tag:a"],
  user: "ann",
  createdAt: "2026-09-01T12:00:00.000Z",
  createdBy: "alpha",
  expiresAt: "2026-09-02T12:00:00.000Z",
  uses: 2,
};
const USED = { ...KEY, id: "k2", state: "used", expiresAt: null, createdBy: null, tags: [], user: "", uses: 0 };
const HEAD = { number: 7, hash: "0123456789abcdef0123" };
const SIGNER = {
  kind: "machine",
  name: "alpha",
  id: "n1",
  publicKey: "ff",
  scope: "all",
  admittedAtNumber: 0,
  self: true,
};
const GENESIS = { number: 0, hash: "aa", at: null, kind: "genesis", by: "key ff", what: "begins" };
const JOIN = { number: 1, hash: "bb", at: "2026-09-01T12:00:00.000Z", kind: "join", by: "alpha", what: "beta joins" };
const NODE = {
  id: "n1",
  name: "alpha",
  addresses: ["10.11.12.1", "fd00::1"],
  user: "",
  tags: ["tag:a"],
  ephemeral: true,
  signer: "admit",
  joinedAt: "2026-09-01T12:00:00.000Z",
  joinKeyId: null,
  self: true,
};
const REMOVED = {
  removed: [{ id: "n2", name: "beta" }],
  joinKeysLeft: [],
  changeTokenByHand: false,
  servesRegistry: false,
  secretStillAdmits: false,
};
const METRIC = { name: "up", type: "gauge", help: "h", samples: [{ labels: { a: "b" }, value: 1 }] };
const REGISTRY = {
  url: "https://192.0.2.1:7411",
  connected: true,
  lastSyncAt: null,
  commandsSent: 3,
  embedded: true,
  served: null,
  joinUrls: ["https://192.0.2.1:7411/#pin=x"],
  tailnetId: "t",
  chainLength: 4,
  records: 2,
};
const PONG = {
  peer: { name: "beta", address: "10.11.12.2" },
  path: { kind: "direct", address: "192.0.2.2:7411", relay: null, latencyMs: 1, mtu: null },
  latencyMs: 1,
};
const DAY_MS = 86_400_000;

/** The line, the call, what is asked with it, the reply, and what people read of that. */
const DONE: readonly (readonly [string, string, unknown, object, readonly string[]])[] = [
  [
    "key create",
    "POST /v1/keys",
    { reusable: false, ephemeral: false, expiresInMs: DAY_MS, tags: [], user: "" },
    { id: "k1", key: "mt1:x", expiresAt: "2026-09-02T12:00:00.000Z" },
    ["mt1:x"],
  ],
  [
    "key create --reusable --ephemeral --expires 1h30m --tags tag:a,tag:b --tags tag:c --user ann",
    "POST /v1/keys",
    { reusable: true, ephemeral: true, expiresInMs: 5_400_000, tags: ["tag:a", "tag:b", "tag:c"], user: "ann" },
    { id: "k1", key: "mt1:x", expiresAt: "2026-09-02T12:00:00.000Z" },
    ["mt1:x"],
  ],
  [
    "key list --all",
    "GET /v1/keys",
    undefined,
    { keys: [KEY, USED] },
    [
      "k1  live  until 2026-09-02T12:00:00.000Z  by alpha  used 2x  reusable ephemeral tag:a ann",
      "k2  used  no end                                             reusable ephemeral",
    ],
  ],
  ["key revoke k1", "POST /v1/keys/revoke", { id: "k1" }, KEY, ["k1 admits nobody any more; 2 came in by it and stay"]],
  ["key revoke k2", "POST /v1/keys/revoke", { id: "k2" }, USED, ["k2 admits nobody any more"]],
  [
    "lock status",
    "GET /v1/lock",
    undefined,
    { tailnetId: "t", head: HEAD, signers: [SIGNER], forks: [{ forkNumber: 5, head: HEAD }] },
    [
      "tailnet  t",
      "head     7 0123456789abcdef",
      "fork     others stand at 7 0123456789abcdef since 5; minitail lock settle",
      "",
      "alpha  n1  decides everything  since 0  this machine",
    ],
  ],
  [
    "lock log",
    "GET /v1/lock/log",
    undefined,
    { statements: [GENESIS, JOIN] },
    ["0                       key ff  begins", "1  2026-09-01 12:00:00  alpha   beta joins"],
  ],
  [
    "lock add beta",
    "POST /v1/lock/add",
    { name: "beta", onlyAdmits: false },
    { name: "beta", isNew: true },
    ["beta is a signer now"],
  ],
  [
    "lock add --only-admits beta",
    "POST /v1/lock/add",
    { name: "beta", onlyAdmits: true },
    { name: "beta", isNew: false },
    ["beta was a signer before"],
  ],
  [
    "lock remove beta --with-machines",
    "POST /v1/lock/remove",
    { name: "beta", withMachines: true },
    { name: "beta", removedMachines: ["gamma"] },
    ["beta is no signer any more", "gamma was removed"],
  ],
  [
    "lock settle",
    "POST /v1/lock/settle",
    {},
    { head: HEAD, forsaken: 1 },
    ["the chain is the one with statement 7 0123456789abcdef"],
  ],
  [
    "lock settle 0123",
    "POST /v1/lock/settle",
    { hash: "0123" },
    { head: HEAD, forsaken: 1 },
    ["the chain is the one with statement 7 0123456789abcdef"],
  ],
  [
    "node list",
    "GET /v1/nodes",
    undefined,
    { nodes: [NODE] },
    ["10.11.12.1  alpha  n1  2026-09-01  signer that admits  tag:a ephemeral"],
  ],
  ["node remove beta", "POST /v1/nodes/remove", { node: "beta", withMachines: false }, REMOVED, ["removed beta (n2)"]],
  [
    "node expire beta --after 30d",
    "POST /v1/nodes/expiry",
    { node: "beta", endsInMs: 30 * DAY_MS },
    { id: "n2", name: "beta", keyExpiresAt: "2026-10-01T12:00:00.000Z" },
    ["the membership of beta ends at 2026-10-01T12:00:00.000Z"],
  ],
  [
    "node renew beta",
    "POST /v1/nodes/expiry",
    { node: "beta", endsInMs: null },
    { id: "n2", name: "beta", keyExpiresAt: null },
    ["beta stays"],
  ],
  [
    "node renew beta --for 1d",
    "POST /v1/nodes/expiry",
    { node: "beta", endsInMs: DAY_MS },
    { id: "n2", name: "beta", keyExpiresAt: "2026-09-02T12:00:00.000Z" },
    ["beta stays until 2026-09-02T12:00:00.000Z"],
  ],
  [
    "node rename alpha omega",
    "POST /v1/nodes/rename",
    { node: "alpha", name: "omega" },
    { id: "n1", name: "omega" },
    ["alpha is called omega now"],
  ],
  ["node free-name old", "POST /v1/names/free", { name: "old" }, { name: "old" }, ["the name old is free"]],
  [
    "node rotate-key",
    "POST /v1/node-key/rotate",
    undefined,
    { nodeKey: "AA=" },
    ["this machine's WireGuard key is AA="],
  ],
  [
    "secret retire",
    "POST /v1/secret/retire",
    undefined,
    { signer: "alpha" },
    ["the secret is retired; alpha decides now: minitail key create, minitail lock add"],
  ],
  ["metrics", "GET /v1/metrics", undefined, { metrics: [METRIC] }, ["# HELP up h", "# TYPE up gauge", 'up{a="b"} 1']],
  [
    "registry backup /x/y --force",
    "POST /v1/registry/backup",
    { file: "/x/y", force: true },
    { file: "/x/y", sizeBytes: 5 },
    ["/x/y: 5 bytes"],
  ],
  [
    "registry move redis://192.0.2.9 --token t",
    "POST /v1/registry/move",
    { url: "redis://192.0.2.9", token: "t" },
    { url: "redis://192.0.2.9", oldOneTold: true, chainLength: 4 },
    ["the registry is at redis://192.0.2.9 now, and holds 4 statements"],
  ],
  [
    "registry status",
    "GET /v1/registry",
    undefined,
    REGISTRY,
    [
      "url          https://192.0.2.1:7411, served here",
      "connected    yes",
      "last news    none yet",
      "commands     3 sent",
      "to ask here  minitail up --registry https://192.0.2.1:7411/#pin=x",
      "tailnet      t",
      "chain        4 statements",
      "records      2",
    ],
  ],
  [
    "ping beta --size 100 --timeout 2s",
    "POST /v1/ping",
    { peer: "beta", sizeBytes: 100, timeoutMs: 2000 },
    PONG,
    ["pong from beta (10.11.12.2) via 192.0.2.2:7411 in 1 ms"],
  ],
];

describe("a command", () => {
  test.each(DONE)("%s", async (line, call, request, reply, lines) => {
    await daemon.serve({ [call]: reply });
    expect(await daemon.run(line)).toEqual({ status: 0, printed: lines, error: undefined, warnings: [] });
    expect(daemon.asked).toEqual([[call, request]]);
    const json = await daemon.run(`${line} --json`);
    expect([json.status, json.error]).toEqual([0, undefined]);
    expect(json.printed.map((text) => JSON.parse(text))).toEqual([reply]);
  });

  test.each(DONE)("%s: what the daemon refuses", async (line, call) => {
    for (const [code, status] of [
      ["not-signer", 4],
      ["no-such-peer", 1],
      ["usage", 2],
      ["daemon-starting", 1],
      ["not-approved", 1],
    ] as const) {
      await daemon.serve({ [call]: new MinitailError(code, "refused", { hint: "ask on alpha" }) });
      for (const form of [line, `--json ${line}`]) {
        expect(await daemon.run(form)).toEqual({
          status,
          printed: [],
          error: "minitail: refused; ask on alpha",
          warnings: [],
        });
      }
    }
  });

  test.each(DONE)("%s: no daemon", async (line) => {
    for (const form of [line, `${line} --json`]) {
      const { status, printed, error } = await daemon.run(form);
      expect([status, printed]).toEqual([3, []]);
      expect(error).toBe(`minitail: no daemon runs at ${daemon.socketPath}; start it with minitail up`);
    }
  });

  test.each([
    ...new Set([...DONE.map(([line]) => line), "down", "logout", "status", "ip", "version", "secret create"]),
  ])("%s: an unknown flag, a surplus argument", async (line) => {
    for (const extra of ["--nonsense-flag", "surplus and more", "--json=perhaps"]) {
      const { status, printed, error } = await daemon.run(`${line} ${extra}`);
      expect([status, printed]).toEqual([2, []]);
      expect(error).toMatch(/^minitail: [^\n]+; [^\n]+$/);
    }
  });

  test.each([
    ["key revoke", "ID"],
    ["lock add", "NAME"],
    ["lock remove", "NAME"],
    ["node approve", "CODE"],
    ["node remove", "NODE"],
    ["node expire", "NODE"],
    ["node renew", "NODE"],
    ["node rename", "OLD"],
    ["node rename alpha", "NEW"],
    ["node free-name", "NAME"],
    ["registry backup", "FILE"],
    ["registry move", "URL"],
    ["ping", "PEER"],
  ])("%s without %s", async (line, missing) => {
    const command = line.replace(" alpha", "");
    const expected = { status: 2, printed: [], warnings: [] };
    expect(await daemon.run(line)).toEqual({
      ...expected,
      error: `minitail: ${command} needs ${missing}; see minitail help ${command}`,
    });
    expect(await daemon.run(`${line} `)).toEqual({
      ...expected,
      error: `minitail: ${command} needs ${missing}, not an empty one; see minitail help ${command}`,
    });
  });
});

describe("key list", () => {
  test("shows what still admits", async () => {
    await daemon.serve({ "GET /v1/keys": { keys: [KEY, USED] } });
    expect((await daemon.run("key list")).printed).toHaveLength(1);
    expect(JSON.parse((await daemon.run("key list --json")).printed[0]!)).toEqual({ keys: [KEY] });
  });
});

describe("lock log", () => {
  test("only the last", async () => {
    await daemon.serve({ "GET /v1/lock/log": { statements: [GENESIS, JOIN] } });
    expect((await daemon.run("lock log --last 1")).printed).toEqual(["1  2026-09-01 12:00:00  alpha  beta joins"]);
    expect(JSON.parse((await daemon.run("lock log --last 1 --json")).printed[0]!)).toEqual({ statements: [JOIN] });
  });
});

describe("node remove", () => {
  test("says what is left of the machine", async () => {
    const reply = {
      ...REMOVED,
      joinKeysLeft: [KEY],
      changeTokenByHand: true,
      servesRegistry: true,
      secretStillAdmits: true,
    };
    await daemon.serve({ "POST /v1/nodes/remove": reply });
    const { printed, warnings } = await daemon.run("node remove beta");
    expect(printed[1]).toBe("machines can still come in by these keys (minitail key revoke ID):");
    expect(printed[2]).toStartWith("k1  live");
    expect(warnings).toEqual([
      expect.stringContaining("registry's token"),
      expect.stringContaining("minitail registry move URL"),
      expect.stringContaining("minitail secret retire"),
    ]);
  });
});

describe("node approve", () => {
  const ASKING = { id: "n3", name: "gamma", former: null };
  const APPROVED = { id: "n3", name: "gamma", addresses: ["10.11.12.3"] };
  const CALLS = { "POST /v1/nodes/asking": ASKING, "POST /v1/nodes/approve": APPROVED };

  test("nobody can be asked: with --yes", async () => {
    await daemon.serve(CALLS);
    const line = "node approve abcd-efgh-2345-6723 --yes --tags tag:a,tag:b --user ann --ephemeral";
    expect((await daemon.run(line)).printed).toEqual(["gamma is in, at 10.11.12.3"]);
    const code = "abcd-efgh-2345-6723";
    expect(daemon.asked).toEqual([
      ["POST /v1/nodes/asking", { code }],
      ["POST /v1/nodes/approve", { code, id: "n3", tags: ["tag:a", "tag:b"], user: "ann", ephemeral: true }],
    ]);
    expect(JSON.parse((await daemon.run(`${line} --json`)).printed[0]!)).toEqual(APPROVED);
  });

  test("a code that nobody asks with", async () => {
    await daemon.serve({ "POST /v1/nodes/asking": new MinitailError("approval-unknown", "no machine asks") });
    expect(await daemon.run("node approve -y abcd-efgh-2345-6723")).toMatchObject({
      status: 1,
      error: "minitail: no machine asks",
    });
  });
});

describe("down and logout", () => {
  const RUNNING = { state: "running" };
  const ending = () => {
    setTimeout(() => void daemon.stop(), 20);
    return {};
  };

  test.each([
    ["down", "POST /v1/down", undefined],
    ["logout", "POST /v1/logout", { force: false }],
    ["logout --force", "POST /v1/logout", { force: true }],
  ])("%s: comes back when the daemon has gone, and prints nothing", async (line, call, request) => {
    await daemon.serve({ [call]: ending, "GET /v1/status": RUNNING });
    const state = `--state-dir ${daemon.folder}/state`;
    expect(await daemon.run(`${line} ${state}`)).toEqual({ status: 0, printed: [], error: undefined, warnings: [] });
    expect(daemon.asked[0]).toEqual([call, request]);
    expect((await daemon.run("status")).status).toBe(3);
  });

  test.each([
    ["down", "minitail down --force takes back what a killed one left"],
    [
      "logout",
      "start it with minitail up, so that it tells the others, or give --force: they are to remove this machine then",
    ],
  ])("%s: no daemon", async (line, hint) => {
    expect(await daemon.run(line)).toEqual({
      status: 3,
      printed: [],
      error: `minitail: no daemon runs at ${daemon.socketPath}; ${hint}`,
      warnings: [],
    });
    const forced = await daemon.run(`${line} --force --state-dir ${daemon.folder}/state`);
    expect([forced.status, forced.error]).toEqual([0, undefined]);
  });

  test("logout: what the daemon refuses", async () => {
    await daemon.serve({ "POST /v1/logout": new MinitailError("usage", "this machine serves the registry") });
    expect(await daemon.run("logout")).toMatchObject({
      status: 2,
      error: "minitail: this machine serves the registry",
    });
  });
});

describe("ping", () => {
  const LOST = {
    ...PONG,
    path: { kind: "none", address: null, relay: null, latencyMs: null, mtu: null },
    latencyMs: null,
  };
  const RELAYED = {
    ...PONG,
    path: { kind: "relay", address: null, relay: "gamma", latencyMs: 9, mtu: null },
    latencyMs: 9,
  };

  test("no reply: 1, and as JSON it says so", async () => {
    await daemon.serve({ "POST /v1/ping": LOST });
    expect(await daemon.run("ping beta")).toMatchObject({ status: 1, printed: [] });
    const { status, printed } = await daemon.run("ping beta --json");
    expect([status, JSON.parse(printed[0]!)]).toEqual([1, LOST]);
  });

  test("until direct: replies by a relay are not enough", async () => {
    await daemon.serve({ "POST /v1/ping": RELAYED });
    const { status, printed } = await daemon.run("ping --until-direct -c1 beta");
    expect([status, printed]).toEqual([1, ["pong from beta (10.11.12.2) via relay gamma in 9 ms"]]);
    await daemon.serve({ "POST /v1/ping": PONG });
    expect(await daemon.run("ping --until-direct -c 3 beta")).toMatchObject({
      status: 0,
      printed: [expect.any(String)],
    });
  });
});

describe("registry status", () => {
  test("not connected: 1", async () => {
    await daemon.serve({ "GET /v1/registry": { ...REGISTRY, connected: false } });
    expect((await daemon.run("registry status --json")).status).toBe(1);
  });
});

describe("status and ip", () => {
  const node = (name: string, addresses: readonly string[]) => ({
    id: `n-${name}`,
    name,
    dnsName: `${name}.t.mesh`,
    addresses,
    path: { kind: "none", address: null, relay: null, latencyMs: null, mtu: null },
    txBytes: 0,
    rxBytes: 0,
    lastHandshakeAt: null,
    lastSeenAt: null,
  });
  const STATUS = {
    version: "0.1.0",
    state: "running",
    tailnet: null,
    self: node("alpha", ["10.11.12.1", "fd00::1"]),
    peers: [node("beta", ["10.11.12.2", "fd00::2"])],
    registry: null,
    dataplane: null,
    approval: null,
    health: [],
  };

  test.each(["starting", "needs-approval", "expired"])("%s: 1", async (state) => {
    await daemon.serve({ "GET /v1/status": { ...STATUS, state } });
    expect((await daemon.run("status --json")).status).toBe(1);
    expect((await daemon.run("status")).status).toBe(1);
  });

  test("no daemon", async () => {
    expect(await daemon.run("status --json")).toMatchObject({ status: 3, printed: ['{"state":"stopped"}'] });
    expect(await daemon.run("status")).toMatchObject({ status: 3, printed: [] });
  });

  test.each(["--peers=false", "--no-peers", "--active"])("%s", async (flag) => {
    await daemon.serve({ "GET /v1/status": STATUS });
    const { status, printed } = await daemon.run(`status --json ${flag}`);
    expect([status, JSON.parse(printed[0]!)]).toEqual([0, { ...STATUS, peers: [] }]);
  });

  test.each([
    ["ip", ["10.11.12.1", "fd00::1"]],
    ["ip -4", ["10.11.12.1"]],
    ["ip -6", ["fd00::1"]],
    ["ip alpha", ["10.11.12.1", "fd00::1"]],
    ["ip beta", ["10.11.12.2", "fd00::2"]],
    ["ip BETA -4", ["10.11.12.2"]],
    ["ip Beta.t.mesh -4", ["10.11.12.2"]],
    ["ip n-beta -4", ["10.11.12.2"]],
    ["ip 10.11.12.2 -6", ["fd00::2"]],
    ["ip FD00:0::2 -4", ["10.11.12.2"]],
  ])("%s", async (line, addresses) => {
    await daemon.serve({ "GET /v1/status": STATUS });
    expect(await daemon.run(line)).toMatchObject({ status: 0, printed: addresses });
    expect(await daemon.run(`${line} --json`)).toMatchObject({ printed: [JSON.stringify({ addresses })] });
  });

  test.each([
    ["ip gamma", 1, 'no machine "gamma" in this network; minitail status lists them'],
    ["ip betta", 1, 'no machine "betta" in this network; did you mean beta?'],
    ["ip -4 -6", 2, "-4 and -6 exclude each other; leave both out for all addresses"],
  ])("%s: %d", async (line, status, message) => {
    await daemon.serve({ "GET /v1/status": STATUS });
    expect(await daemon.run(line)).toMatchObject({ status, printed: [], error: `minitail: ${message}` });
  });

  test("ip of a machine that is no member yet", async () => {
    await daemon.serve({ "GET /v1/status": { ...STATUS, state: "needs-approval", self: null, peers: [] } });
    expect(await daemon.run("ip")).toMatchObject({
      status: 1,
      error: "minitail: this machine has no address yet; minitail status says why",
    });
  });
});

describe("without a daemon", () => {
  test("version", async () => {
    expect((await daemon.run("version")).printed).toEqual([`minitail ${VERSION}`]);
    expect(JSON.parse((await daemon.run("version --json")).printed[0]!)).toEqual({
      version: VERSION,
      bunVersion: Bun.version,
      architecture: process.arch,
    });
  });

  test("secret create", async () => {
    const [secret] = (await daemon.run("secret create")).printed;
    expect(secret).toMatch(/^[a-z2-7]{26}$/);
    expect(JSON.parse((await daemon.run("secret create --json")).printed[0]!)).toMatchObject({ bits: 128 });
    expect((await daemon.run("secret create")).printed).not.toEqual([secret!]);
  });
});
