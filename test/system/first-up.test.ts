/** A first `up` that finds the machine other than it should be, and the next one that does as it was told. Needs root. */

import { describe, expect, test } from "bun:test";
import { Lab } from "../lab/index.ts";
import { hostsOnSwitch, MINITAIL } from "./mesh-node.ts";

const LIMIT_MS = 60_000;

describe("a first up", () => {
  test(
    "whose addresses are taken makes no network, so that another --pool does",
    async () => {
      await using lab = await Lab.create("first-pool");
      const [a] = await hostsOnSwitch(lab, ["alpha"]);
      await a!.host.output(["ip", "route", "add", "blackhole", "100.64.0.0/10"]);
      const refused = await a!.minitail("up");
      expect([refused.status, refused.stderr]).toEqual([
        1,
        "minitail: 100.64.0.0/10 is routed to another interface already; " +
          "choose other addresses with --pool, such as --pool 10.11.12.0/24\n",
      ]);
      await a!.up("--pool", "10.11.12.0/24");
      expect((await a!.status()).tailnet?.pool).toEqual(["10.11.12.0/24"]);
    },
    LIMIT_MS,
  );

  test(
    "with a shared secret makes none either",
    async () => {
      await using lab = await Lab.create("first-secret");
      const [a] = await hostsOnSwitch(lab, ["alpha"]);
      const secret = ["--secret", "an7rtqyrnhzqhm2tepaopb242m"] as const;
      await a!.host.output(["ip", "route", "add", "blackhole", "100.64.0.0/10"]);
      expect((await a!.minitail("up", ...secret)).stderr).toMatch(/ is routed to another interface already; /);
      await a!.up(...secret, "--pool", "10.11.12.0/24");
      expect((await a!.status()).tailnet?.pool).toEqual(["10.11.12.0/24"]);
    },
    LIMIT_MS,
  );

  test(
    "where /dev/net/tun is another file says how to make it",
    async () => {
      await using lab = await Lab.create("first-tun");
      const [a] = await hostsOnSwitch(lab, ["alpha"]);
      for (const make of ["touch", "mkdir"]) {
        const command = `mount -t tmpfs none /dev/net && ${make} /dev/net/tun && exec "${MINITAIL}" up`;
        const result = await a!.host.run(["unshare", "--mount", "sh", "-c", command]);
        expect([result.status, result.stderr]).toEqual([
          1,
          "minitail: /dev/net/tun is not the TUN device; remove it, and make it with mknod /dev/net/tun c 10 200, " +
            "or give the container --device /dev/net/tun\n",
        ]);
      }
    },
    LIMIT_MS,
  );

  test(
    "whose folders cannot be made says which flag names another, detached as well",
    async () => {
      await using lab = await Lab.create("first-folder");
      const [a] = await hostsOnSwitch(lab, ["alpha"]);
      for (const detach of [[], ["--detach"]]) {
        const state = await a!.minitail("up", ...detach, "--state-dir", "/proc/none");
        expect([state.status, state.stderr]).toEqual([
          1,
          expect.stringMatching(/^minitail: .*; .* with --state-dir\n$/),
        ]);
        const socket = await a!.minitail("up", ...detach, "--socket", "/proc/none");
        expect([socket.status, socket.stderr]).toEqual([
          2,
          expect.stringMatching(/^minitail: .*; .* with --socket\n$/),
        ]);
      }
    },
    LIMIT_MS,
  );

  test(
    "that asks a registry which never answers says so, and ends when its time is up",
    async () => {
      await using lab = await Lab.create("first-ask");
      const [a] = await hostsOnSwitch(lab, ["alpha"]);
      const silent = a!.host.spawn(["socat", "TCP-LISTEN:7500,fork", "EXEC:sleep 60"], { stdin: "pipe" });
      await a!.host.run(["sh", "-c", "while ! ss -ltn | grep -q 7500; do :; done"]);
      const pin = "4_y-nriwtV8nVbgnX4X8lsSgI8j8JRu44-KlzB_JEvc";
      const url = `https://127.0.0.1:7500/#pin=${pin}`;
      const startedMs = performance.now();
      const result = await a!.minitail("up", "--registry", url, "--timeout", "2s");
      expect(performance.now() - startedMs).toBeLessThan(6_000);
      expect([result.status, result.stderr]).toEqual([
        1,
        "waiting for the registry https://127.0.0.1:7500 to answer\n" +
          "minitail: gave up after the time that --timeout allows: " +
          "waiting for the registry https://127.0.0.1:7500 to answer\n",
      ]);
      await silent.stop("SIGKILL");
    },
    LIMIT_MS,
  );

  test(
    "wireguard with a descriptor that is not open says which variable names it",
    async () => {
      await using lab = await Lab.create("first-descriptor");
      const [a] = await hostsOnSwitch(lab, ["alpha"]);
      const result = await a!.host.run(["env", "WG_TUN_FD=99", MINITAIL, "wireguard", "wg0"]);
      expect([result.status, result.stderr]).toEqual([2, "minitail: WG_TUN_FD is the number of an open descriptor\n"]);
    },
    LIMIT_MS,
  );
});
