/** `minitail up` on machines of a laboratory, by the built executable. Needs root. */

import { describe, expect, test } from "bun:test";
import { eventually, Lab } from "../lab/index.ts";
import { hostsOnSwitch, MINITAIL, traces } from "./mesh-node.ts";

const LIMIT_MS = 60_000;
const POOL = ["--pool", "10.11.12.0/24"] as const;

describe("minitail up", () => {
  test(
    "makes a tailnet, another machine joins it by key, and both reach each other within two seconds",
    async () => {
      await using lab = await Lab.create("up-join");
      const [a, b] = await hostsOnSwitch(lab, ["alpha", "beta"]);
      await a!.up(...POOL);
      const key = await a!.createKey();
      await b!.up("--join", key);
      const upAtMs = performance.now();
      await b!.expectPing("10.11.12.1", 2000);
      await a!.expectPing("10.11.12.2", 2000);
      expect(performance.now() - upAtMs).toBeLessThan(2000);
      expect((await a!.output("ip", "-4")).trim()).toBe("10.11.12.1");
      const [ipv6] = (await a!.output("ip", "-6")).trim().split("\n");
      await b!.expectPing(ipv6!);
      const pong = await b!.output("ping", "-c", "2", "alpha");
      expect(pong).toMatch(/^pong from alpha \(10\.11\.12\.1\) via (192\.0\.2\.1|\[2001:db8::1\]):7411 in [\d.]+ ms$/m);
      const status = await b!.status();
      expect(status.state).toBe("running");
      expect(status.peers.map(({ name, path }) => [name, path.kind])).toEqual([["alpha", "direct"]]);
      expect(status.tailnet!.pool).toEqual(["10.11.12.0/24"]);
    },
    LIMIT_MS,
  );

  test(
    "down, Ctrl-C and the next start after kill -9 leave nothing behind, and the node stays the same",
    async () => {
      await using lab = await Lab.create("up-traces");
      const [a, b] = await hostsOnSwitch(lab, ["alpha", "beta"]);
      const clean = await traces(a!.host);
      await a!.up(...POOL);
      await b!.up("--join", await a!.createKey());
      const identity = (await a!.status()).self!.id;

      await a!.minitail("down");
      expect((await a!.process!.waitForExit(5000)).status).toBe(0);
      expect(await traces(a!.host)).toBe(clean);
      expect(await a!.minitail("status", "--json")).toMatchObject({ status: 3, stdout: '{"state":"stopped"}\n' });

      await a!.up();
      await a!.process!.stop("SIGINT");
      expect(await traces(a!.host)).toBe(clean);

      await a!.up();
      await a!.kill();
      expect(await a!.minitail("down", "--force")).toMatchObject({ status: 0 });
      expect(await traces(a!.host)).toBe(clean);

      await a!.up();
      await a!.kill();
      await a!.up();
      expect((await a!.status()).self).toMatchObject({
        id: identity,
        addresses: expect.arrayContaining(["10.11.12.1"]),
      });
      // Sooner than WireGuard's timers, by which beta gives up the session that alpha has no more: 15 s.
      await b!.expectPing("10.11.12.1", 8000);
      await a!.expectPing("10.11.12.2");
    },
    LIMIT_MS,
  );

  test(
    "up follows down without a pause, as often as one likes",
    async () => {
      await using lab = await Lab.create("up-down");
      const [a] = await hostsOnSwitch(lab, ["alpha"]);
      for (let i = 0; i < 8; i++) {
        expect(await a!.minitail("up", "-d", ...POOL)).toMatchObject({ status: 0, stderr: "" });
        expect(await a!.minitail("down")).toMatchObject({ status: 0, stderr: "" });
      }
    },
    LIMIT_MS,
  );

  test(
    "a member that was killed at any moment of joining is one machine with one address afterwards",
    async () => {
      await using lab = await Lab.create("up-kill");
      const [a, b] = await hostsOnSwitch(lab, ["alpha", "beta"]);
      await a!.up(...POOL);
      const key = await a!.createKey();
      const state = () => b!.status().then((status) => status.state);
      for (const afterMs of [40, 70, 100, 130, 160, 190, 220, 260, 300, 350]) {
        const starting = b!.host.spawn([MINITAIL, "up", "--join", key]);
        const startMs = performance.now();
        await eventually("the moment", () => performance.now() - startMs >= afterMs, 1000);
        starting.kill("SIGKILL");
        await starting.exited;
      }
      await b!.up("--join", key);
      expect(await state()).toBe("running");
      expect((await b!.output("ip", "-4")).trim()).toBe("10.11.12.2");
      expect((await a!.status()).peers.map(({ name }) => name)).toEqual(["beta"]);
      await b!.expectPing("10.11.12.1");
    },
    LIMIT_MS,
  );

  test(
    "machines that start together with one secret and one registry are in one tailnet at two addresses",
    async () => {
      await using lab = await Lab.create("up-secret");
      const [registry, a, b] = await hostsOnSwitch(lab, ["registry", "alpha", "beta"]);
      const serving = registry!.host.spawn([
        MINITAIL,
        "registry",
        "serve",
        "--listen",
        "192.0.2.1:7500",
        "--token",
        "t0ken",
      ]);
      const [url] = await serving.waitForOutput(/https:\/\/\S+/, 10_000);
      expect(url).toMatch(/^https:\/\/192\.0\.2\.1:7500\/#pin=/);
      const flags = ["--registry", url!, "--token", "t0ken", "--secret", "correct horse battery staple orbit", ...POOL];
      await Promise.all([a!.up(...flags), b!.up(...flags)]);
      const addresses = [await a!.output("ip", "-4"), await b!.output("ip", "-4")].map((text) => text.trim());
      expect(addresses.toSorted()).toEqual(["10.11.12.1", "10.11.12.2"]);
      expect((await a!.status()).tailnet).toEqual((await b!.status()).tailnet);
      await a!.expectPing(addresses[1]!);
      await b!.expectPing(addresses[0]!);
    },
    LIMIT_MS,
  );

  test(
    "a secret alone serves the registry here; another secret is refused as such",
    async () => {
      await using lab = await Lab.create("up-secret-here");
      const [a, b, c] = await hostsOnSwitch(lab, ["alpha", "beta", "gamma"]);
      await a!.up("--secret", "correct horse battery staple orbit", ...POOL);
      await b!.up("--registry", "https://192.0.2.1:7411", "--secret", "correct horse battery staple orbit");
      await b!.expectPing("10.11.12.1");
      const wrong = await c!.minitail(
        "up",
        "--registry",
        "https://192.0.2.1:7411",
        "--secret",
        "another secret altogether",
      );
      expect(wrong.status).toBe(1);
      expect(wrong.stderr.trim()).toMatch(/^minitail: the registry there is of another shared secret; [^\n]+$/);
    },
    LIMIT_MS,
  );

  test(
    "a registry that is not there yet is waited for, and said",
    async () => {
      await using lab = await Lab.create("up-wait");
      const [a, b, c] = await hostsOnSwitch(lab, ["alpha", "beta", "gamma"]);
      await a!.up(...POOL);
      const key = await a!.createKey();
      await a!.minitail("down");
      await a!.process!.exited;
      const impatient = await c!.minitail("up", "--join", key, "--timeout", "1s");
      expect(impatient.status).toBe(1);
      expect(impatient.stderr).toMatch(
        /^minitail: gave up after the time that --timeout allows: waiting for the registry/m,
      );
      const waiting = b!.host.spawn([MINITAIL, "up", "--join", key]);
      await waiting.waitForOutput(/waiting for the registry \(/, 20_000);
      expect((await b!.status()).state).toBe("starting");
      await a!.up();
      await waiting.waitForOutput(/this machine is beta, 10\.11\.12\.2/, 30_000);
      await b!.expectPing("10.11.12.1");
    },
    LIMIT_MS,
  );

  test(
    "down and Ctrl-C end a start that waits, at once and without a trace",
    async () => {
      await using lab = await Lab.create("up-wait-end");
      const [a, b] = await hostsOnSwitch(lab, ["alpha", "beta"]);
      await a!.up(...POOL);
      const key = await a!.createKey();
      await a!.kill();
      const clean = await traces(b!.host);
      for (const end of ["down", "SIGINT", "SIGTERM"] as const) {
        const waiting = b!.host.spawn([MINITAIL, "up", "--join", key]);
        await waiting.waitForOutput(/waiting for the registry/, 20_000);
        if (end === "down") expect(await b!.minitail("down")).toMatchObject({ status: 0, stderr: "" });
        else waiting.kill(end);
        expect({ end, ...(await waiting.waitForExit(3000)) }).toMatchObject({ end, status: 0 });
        expect(await traces(b!.host)).toBe(clean);
      }
    },
    LIMIT_MS,
  );

  test(
    "a member starts at once where its registry's address swallows what is sent to it",
    async () => {
      await using lab = await Lab.create("up-swallowed");
      const [a, b] = await hostsOnSwitch(lab, ["alpha", "beta"]);
      await a!.up(...POOL);
      await b!.up("--join", await a!.createKey());
      await b!.minitail("down");
      await b!.process!.exited;
      await a!.kill();
      await a!.host.output([
        "nft",
        "add table inet t; add chain inet t in { type filter hook input priority 0; policy drop; }",
      ]);
      const startMs = performance.now();
      await b!.up();
      expect(performance.now() - startMs).toBeLessThan(3000);
    },
    LIMIT_MS,
  );

  test(
    "an address that a machine gets while it starts is told to the others",
    async () => {
      await using lab = await Lab.create("up-address");
      const [a, b] = await hostsOnSwitch(lab, ["alpha", "beta"]);
      await a!.up(...POOL);
      await b!.up("--join", await a!.createKey());
      await b!.minitail("down");
      await b!.process!.exited;
      // The start waits a while for a registry that swallows what is sent to it.
      await a!.host.output([
        "nft",
        "add table inet t; add chain inet t in { type filter hook input priority 0; policy drop; }",
      ]);
      const starting = b!.up();
      const isStarting = async () => {
        const { state, self } = await b!.status();
        return state === "starting" && self;
      };
      await eventually("beta to be a member that is not up yet", isStarting, 5000);
      b!.host.cables[0]!.near.setAddresses({ address: "192.0.2.77/24" });
      await starting;
      await a!.host.output(["nft", "delete table inet t"]);
      const told = async () => (await a!.status()).peers[0]!.endpoints.includes("192.0.2.77:7411");
      await eventually("alpha to know the address", told, 30_000);
    },
    LIMIT_MS,
  );

  test(
    "tunnels stay up when the registry's machine is gone, and members start without it",
    async () => {
      await using lab = await Lab.create("up-without");
      const [a, b, c] = await hostsOnSwitch(lab, ["alpha", "beta", "gamma"]);
      await a!.up(...POOL);
      const key = await a!.createKey("--reusable");
      await b!.up("--join", key);
      await c!.up("--join", key);
      await b!.expectPing("10.11.12.3");
      await a!.kill();
      await b!.expectPing("10.11.12.3");
      await c!.kill();
      await c!.up();
      await c!.expectPing("10.11.12.2", 15_000);
    },
    LIMIT_MS,
  );
});
