/** Coming in by approval, parting with a shared secret, and more than one signer, by the built executable. Needs root. */

import { describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LockStatus, LoggedStatement } from "../../src/daemon/calls/lock.ts";
import type { NodeList } from "../../src/daemon/calls/node-list.ts";
import type { RegistryStatus } from "../../src/daemon/calls/registry-status.ts";
import type { HostProcess } from "../lab/index.ts";
import { eventually, Lab } from "../lab/index.ts";
import { hostsOnSwitch, type MeshNode, MINITAIL, traces } from "./mesh-node.ts";

const LIMIT_MS = 60_000;
const ANSWER_LIMIT_MS = 20_000;
const POOL = ["--pool", "10.11.12.0/24"] as const;
const SECRET = "correct horse battery staple orbit";
const CODE = /minitail node approve ([a-z2-7]{4}(?:-[a-z2-7]{4}){3})/;

async function json<T>(node: MeshNode, ...words: readonly string[]): Promise<T> {
  return JSON.parse(await node.output(...words, "--json")) as T;
}

/** What a machine on the same switch gives to `--registry`. */
async function registryUrl(node: MeshNode): Promise<string> {
  const { joinUrls } = await json<RegistryStatus>(node, "registry", "status");
  return joinUrls.find((url) => url.startsWith("https://192.0.2."))!;
}

/** Starts `up` on a machine that asks, and answers the code that it shows. */
async function ask(node: MeshNode, ...flags: readonly string[]): Promise<{ waiting: HostProcess; code: string }> {
  const waiting = node.host.spawn([MINITAIL, "up", ...flags], { env: { NO_COLOR: "1" } });
  node.process = waiting;
  const [, code] = await waiting.waitForOutput(CODE, ANSWER_LIMIT_MS);
  return { waiting, code: code! };
}

describe("approval", () => {
  test(
    "a machine asks, a signer lets it in; wrong and used codes are refused, and a kill loses nothing",
    async () => {
      await using lab = await Lab.create("approval");
      const [a, b, c] = await hostsOnSwitch(lab, ["alpha", "beta", "gamma"]);
      await a!.up(...POOL);
      const url = await registryUrl(a!);
      const clean = await traces(b!.host);

      const first = await ask(b!, "--registry", url);
      const status = await b!.status();
      expect([status.state, status.approval?.code]).toEqual(["needs-approval", first.code]);
      expect((await b!.minitail("status")).status).toBe(1);
      await b!.kill();
      const { waiting, code } = await ask(b!);
      expect(code).toBe(first.code);

      expect(await a!.minitail("node", "approve", "--yes", "abcd-efgh-ijkl-mnop")).toMatchObject({
        status: 1,
        stderr: expect.stringMatching(/^minitail: no machine asks with this code; [^\n]+\n$/),
      });
      expect(await a!.minitail("node", "approve", "--yes", "abc")).toMatchObject({ status: 2 });
      expect(await a!.minitail("node", "approve", code)).toMatchObject({
        status: 2,
        stderr: expect.stringContaining("say yes with --yes"),
      });
      const no = await onTerminal(a!, "n", "node", "approve", code);
      expect(no.stdout).toContain(`beta asks to come in; its id is ${status.approval!.nodeId}`);
      expect([no.status, (await b!.status()).state]).toEqual([1, "needs-approval"]);
      const yes = await onTerminal(a!, "y", "node", "approve", code);
      expect([yes.status, yes.stdout]).toEqual([0, expect.stringContaining("beta is in, at 10.11.12.2")]);
      await waiting.waitForOutput(/this machine is beta, 10\.11\.12\.2/, ANSWER_LIMIT_MS);
      await a!.expectPing("10.11.12.2");
      await b!.expectPing("10.11.12.1");
      expect((await b!.status()).self!.id).toBe(status.approval!.nodeId);
      expect((await b!.status()).approval).toBeNull();
      expect(waiting.stderr).not.toContain(code);
      expect(await a!.minitail("node", "approve", "--yes", code)).toMatchObject({
        status: 1,
        stderr: expect.stringMatching(/^minitail: this code was answered already; [^\n]+\n$/),
      });

      const asking = await ask(c!, "--registry", url, "--name", "third");
      expect(await b!.minitail("node", "approve", "--yes", asking.code)).toMatchObject({
        status: 4,
        stderr: expect.stringContaining("ask on alpha"),
      });
      const approved = await json<{ name: string }>(a!, "node", "approve", "-y", "--tags", "tag:x", asking.code);
      expect(approved.name).toBe("third");
      await asking.waiting.waitForOutput(/this machine is third/, ANSWER_LIMIT_MS);
      await c!.expectPing("10.11.12.2");
      expect((await c!.status()).self!.tags).toEqual(["tag:x"]);

      await b!.minitail("down");
      expect(await traces(b!.host)).toBe(clean);
      await b!.up();
      await b!.expectPing("10.11.12.1");
    },
    LIMIT_MS,
  );

  test(
    "a machine that was removed comes back by a signer's yes; a registry without its pin is not asked",
    async () => {
      await using lab = await Lab.create("approval-again");
      const [a, b] = await hostsOnSwitch(lab, ["alpha", "beta"]);
      await a!.up(...POOL);
      const url = await registryUrl(a!);
      const unpinned = await b!.minitail("up", "--registry", url.replace(/\/#.*/, ""));
      expect([unpinned.status, unpinned.stderr]).toEqual([1, expect.stringMatching(/^minitail: [^\n]+#pin=[^\n]*\n$/)]);
      await b!.up("--join", await a!.createKey());
      const { id } = (await b!.status()).self!;
      await a!.output("node", "remove", "beta");
      await b!.minitail("down");
      await b!.process!.exited;
      expect(await b!.minitail("up", "--join", await a!.createKey())).toMatchObject({
        status: 4,
        stderr: expect.stringContaining("this machine was removed"),
      });
      const { waiting, code } = await ask(b!, "--registry", url);
      const yes = await onTerminal(a!, "y", "node", "approve", code);
      expect(yes.stdout).toMatch(/it was beta, and was removed from the network at \d{4}-/);
      await waiting.waitForOutput(/this machine is beta, 10\.11\.12\.2/, ANSWER_LIMIT_MS);
      expect((await b!.status()).self!.id).toBe(id);
      await b!.expectPing("10.11.12.1");
    },
    LIMIT_MS,
  );

  test(
    "down, logout and Ctrl-C end the waiting at once; --timeout ends it in words",
    async () => {
      await using lab = await Lab.create("approval-end");
      const [a, b] = await hostsOnSwitch(lab, ["alpha", "beta"]);
      await a!.up(...POOL);
      const url = await registryUrl(a!);
      const clean = await traces(b!.host);
      const codes: string[] = [];
      for (const end of ["down", "logout", "SIGINT"] as const) {
        const { waiting, code } = await ask(b!, "--registry", url);
        codes.push(code);
        if (end === "SIGINT") waiting.kill(end);
        else expect(await b!.minitail(end)).toMatchObject({ status: 0, stderr: "" });
        expect({ end, ...(await waiting.waitForExit(3000)) }).toMatchObject({ end, status: 0 });
        expect(await traces(b!.host)).toBe(clean);
      }
      // Who was told to forget it all asks anew.
      expect([codes[0] === codes[1], codes[1] === codes[2]]).toEqual([true, false]);
      const impatient = await b!.minitail("up", "-d", "--registry", url, "--timeout", "2s");
      expect([impatient.status, impatient.stdout]).toEqual([1, expect.stringMatching(CODE)]);
      expect(impatient.stderr).toContain("gave up after the time that --timeout allows: waiting to be let in");
    },
    LIMIT_MS,
  );
});

test("the code of a machine that asks leaves the process list at once", async () => {
  const folder = mkdtempSync(join(tmpdir(), "minitail-approve-"));
  const silent = Bun.serve({ unix: join(folder, "socket"), fetch: () => new Promise<Response>(() => {}) });
  const command = [MINITAIL, "--socket", join(folder, "socket"), "node", "approve", "--yes", "abcd-efgh-ijkl-mnop"];
  const approving = Bun.spawn(command, { stdout: "ignore", stderr: "ignore" });
  try {
    await eventually("it to ask the daemon", async () => silent.pendingRequests > 0, ANSWER_LIMIT_MS);
    const shown = readFileSync(`/proc/${approving.pid}/cmdline`, "latin1").split("\0");
    expect(shown).toContain("approve");
    expect(shown.join(" ")).not.toContain("abcd");
  } finally {
    approving.kill();
    await approving.exited;
    await silent.stop(true);
    rmSync(folder, { recursive: true });
  }
});

test(
  "a shared secret is retired: members stay, it admits nobody any more, join keys do",
  async () => {
    await using lab = await Lab.create("retire");
    const [a, b, c, d] = await hostsOnSwitch(lab, ["alpha", "beta", "gamma", "delta"]);
    const bySecret = ["--registry", "https://192.0.2.1:7411", "--secret", SECRET];
    await a!.up("--secret", SECRET, ...POOL);
    await b!.up(...bySecret);
    const strong = (await a!.output("secret", "create")).trim();
    expect(strong).toMatch(/^[a-z2-7]{26}$/);
    expect((await a!.status()).health.map(({ code }) => code)).toContain("weak-secret");
    expect(await json(a!, "secret", "retire")).toEqual({ signer: "alpha" });
    expect((await a!.status()).health.map(({ code }) => code)).not.toContain("weak-secret");
    await b!.expectPing("10.11.12.1");
    const refused = await c!.minitail("up", ...bySecret);
    expect(refused).toMatchObject({ status: 1, stderr: expect.stringMatching(/the shared secret was retired/) });
    expect(await b!.minitail("key", "create")).toMatchObject({ status: 4, stderr: expect.stringContaining("alpha") });
    await d!.up("--join", await a!.createKey());
    await d!.expectPing("10.11.12.2");
    await b!.kill();
    await b!.up();
    await b!.expectPing("10.11.12.3");
    const { signers } = await json<LockStatus>(d!, "lock", "status");
    expect(signers.map(({ kind, name }) => [kind, name])).toEqual([["machine", "alpha"]]);
  },
  LIMIT_MS,
);

test(
  "a second signer admits and removes signers; machines rename themselves; the log tells it",
  async () => {
    await using lab = await Lab.create("signers");
    const [a, b, c] = await hostsOnSwitch(lab, ["alpha", "beta", "gamma"]);
    await a!.up(...POOL);
    await b!.up("--join", await a!.createKey());
    expect((await a!.status()).health.map(({ code }) => code)).toEqual(["one-signer"]);
    expect(await b!.minitail("lock", "add", "beta")).toMatchObject({
      status: 4,
      stderr: expect.stringContaining("ask on alpha"),
    });
    expect(await a!.output("lock", "add", "beta")).toBe("beta is a signer now\n");
    expect((await a!.status()).health).toEqual([]);
    await c!.up("--join", await b!.createKey("--tags", "tag:server"));
    await c!.expectPing("10.11.12.1");
    expect(await a!.minitail("node", "rename", "gamma", "third")).toMatchObject({
      status: 4,
      stderr: expect.stringContaining("run minitail node rename gamma third there"),
    });
    expect(await c!.output("node", "rename", "gamma", "third")).toBe("gamma is called third now\n");
    expect(await b!.output("lock", "remove", "alpha")).toBe("alpha is no signer any more\n");
    expect(await a!.minitail("key", "create")).toMatchObject({ status: 4 });
    expect(await b!.minitail("lock", "settle")).toMatchObject({
      status: 2,
      stderr: "minitail: there is no fork to settle\n",
    });
    const { nodes } = await json<NodeList>(b!, "node", "list");
    expect(nodes.map(({ name, signer, tags }) => [name, signer, tags])).toEqual([
      ["alpha", null, []],
      ["beta", "all", []],
      ["third", null, ["tag:server"]],
    ]);
    const { statements } = await json<{ statements: LoggedStatement[] }>(b!, "lock", "log");
    expect(statements.map(({ kind }) => kind).slice(0, 5)).toEqual([
      "genesis",
      "pool",
      "join",
      "admit-join-key",
      "join",
    ]);
    expect(await b!.output("lock", "log")).toMatch(/\s+beta\s+alpha is no signer any more/);
    expect(await b!.output("lock", "status")).toMatch(
      /^beta\s+n[a-z2-7]{16}\s+decides everything\s+since \d+\s+this machine$/m,
    );
  },
  LIMIT_MS,
);

/** Runs it on a terminal of its own, at which somebody types the answer; what it shows is in `stdout`. */
async function onTerminal(node: MeshNode, answer: string, ...words: readonly string[]) {
  const command = [MINITAIL, ...words].join(" ");
  const typing = node.host.spawn(["script", "-qec", command, "/dev/null"], { stdin: "pipe", env: { NO_COLOR: "1" } });
  await typing.waitForOutput(/\[y\/N\] /, ANSWER_LIMIT_MS);
  typing.write(`${answer}\n`);
  const { status } = await typing.waitForExit(ANSWER_LIMIT_MS);
  typing.endInput();
  return { status, stdout: typing.stdout };
}
