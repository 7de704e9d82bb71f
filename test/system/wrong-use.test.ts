/** What a person reads when something is not as it should be: one line, and a status. Needs root. */

import { describe, expect, test } from "bun:test";
import { Lab, type RunResult } from "../lab/index.ts";
import { hostsOnSwitch, type MeshNode, MINITAIL } from "./mesh-node.ts";

const LIMIT_MS = 60_000;
const POOL = ["--pool", "10.11.12.0/24"] as const;

/** One line on stderr that begins so, and no stack trace anywhere. */
function expectOneLine(result: RunResult, status: number, message: RegExp): void {
  expect({ status: result.status, stderr: result.stderr }).toEqual({ status, stderr: expect.stringMatching(message) });
  const lines = result.stderr.trim().split("\n");
  expect(lines.filter((line) => line.startsWith("minitail: "))).toHaveLength(1);
  expect(result.stderr).not.toMatch(/^\s+at /m);
}

async function nodes(lab: Lab, ...names: string[]): Promise<MeshNode[]> {
  return await hostsOnSwitch(lab, names);
}

describe("wrong use says so in one line", () => {
  test(
    "not root, no device, names and ports that are taken, a second daemon",
    async () => {
      await using lab = await Lab.create("wrong-machine");
      const [a] = await nodes(lab, "alpha");
      const { host } = a!;
      const nobody = await host.run(["setpriv", "--reuid", "65534", "--clear-groups", MINITAIL, "up"]);
      expectOneLine(nobody, 4, /^minitail: .*root/);
      await host.output(["ip", "link", "add", "minitail0", "type", "bridge"]);
      expectOneLine(await a!.minitail("up"), 1, /^minitail: the interface minitail0 exists already; .*--tun/);
      await host.output(["ip", "link", "delete", "minitail0"]);
      const squatter = host.spawn(["socat", "UDP6-LISTEN:7411", "STDIO"], { stdin: "pipe" });
      await a!.host.run(["sh", "-c", "while ! ss -lun | grep -q 7411; do :; done"]);
      expectOneLine(await a!.minitail("up"), 1, /^minitail: UDP port 7411 is taken by another program; .*--port/);
      // The name that it was told with a port that it cannot have is not what a bare up takes later.
      expectOneLine(await a!.minitail("up", "--tun", "other0", "--name", "other"), 1, /UDP port 7411 is taken/);
      await squatter.stop("SIGKILL");
      const web = host.spawn(["socat", "TCP6-LISTEN:7411,reuseaddr", "STDIO"], { stdin: "pipe" });
      await a!.host.run(["sh", "-c", "while ! ss -ltn | grep -q 7411; do :; done"]);
      expectOneLine(await a!.minitail("up"), 1, /^minitail: TCP port 7411 is taken; .*--listen/);
      await web.stop("SIGKILL");
      await a!.up(...POOL);
      expect((await a!.status()).self!.name).toBe("alpha");
      expectOneLine(await a!.minitail("up"), 1, /^minitail: another minitail uses the state in .*; .*--state-dir/);
      const other = ["--state-dir", "/run/other"] as const;
      expectOneLine(await a!.minitail("up", ...other), 1, /^minitail: a minitail daemon already listens on .*--socket/);
      const otherSocket = [...other, "--socket", "/run/other.sock"] as const;
      expectOneLine(await a!.minitail("up", ...otherSocket), 1, /^minitail: the interface minitail0 exists already; /);
      const apart = ["--state-dir", "/run/third", "--socket", "/run/third.sock", "--tun", "third", "--port", "7500"];
      expectOneLine(
        await a!.minitail("up", ...apart, "--listen", ":7500", ...POOL),
        1,
        /^minitail: 10\.11\.12\.0\/24 is routed to another interface already; .*--pool/,
      );
      // What the refused ones found taken is still there.
      expect((await a!.status()).state).toBe("running");
      expect(await host.output(["ip", "-o", "link"])).toContain("minitail0");
    },
    LIMIT_MS,
  );

  test(
    "no /dev/net/tun",
    async () => {
      await using lab = await Lab.create("wrong-tun");
      const [a] = await nodes(lab, "alpha");
      const command = `mount -t tmpfs none /dev/net && exec "${MINITAIL}" up`;
      const result = await a!.host.run(["unshare", "--mount", "sh", "-c", command]);
      expectOneLine(result, 1, /^minitail: cannot open \/dev\/net\/tun: no such device; .*tun/);
    },
    LIMIT_MS,
  );

  test(
    "join keys that are malformed, used, or from another tailnet; a pool that is full; a clock far off",
    async () => {
      await using lab = await Lab.create("wrong-key");
      const [a, b, c, d] = await nodes(lab, "alpha", "beta", "gamma", "delta");
      await a!.up("--pool", "10.11.12.0/30");
      const key = await a!.createKey();
      expectOneLine(await b!.minitail("up", "--join", "mt1:abc"), 2, /^minitail: the join key .*; /);
      expectOneLine(await b!.minitail("up", "--join", key.slice(0, -5)), 2, /^minitail: the join key .*; /);
      await b!.up("--join", key);
      expectOneLine(await c!.minitail("up", "--join", key), 1, /^minitail: the join key was used: /);
      const second = await a!.createKey("--reusable");
      const early = await c!.host.run(["faketime", "-f", "-400d", MINITAIL, "up", "--join", second]);
      expectOneLine(early, 1, /^minitail: this machine's clock is (399|400) days behind the tailnet's; set the clock/);
      const late = await c!.host.run(["faketime", "-f", "+400d", MINITAIL, "up", "--join", second]);
      expectOneLine(late, 1, /^minitail: the join key expired .* ago; .*clock/);
      expectOneLine(
        await c!.minitail("up", "--join", second),
        1,
        /^minitail: all addresses of the tailnet's pool are taken; /,
      );
      expect(await c!.host.output(["ip", "-o", "link"])).not.toContain("minitail0");
      await d!.up("--pool", "10.20.0.0/24");
      const foreign = await d!.createKey();
      await b!.minitail("down");
      await b!.process!.exited;
      expectOneLine(
        await b!.minitail("up", "--join", foreign),
        2,
        /^minitail: this machine belongs to another tailnet already; /,
      );
    },
    LIMIT_MS,
  );

  test(
    "a registry with another key, without a pin, or with another token",
    async () => {
      await using lab = await Lab.create("wrong-registry");
      const [registry, a] = await nodes(lab, "registry", "alpha");
      const serve = ["registry", "serve", "--listen", "192.0.2.1:7500", "--token", "t0ken"];
      const [url] = await registry!.host.spawn([MINITAIL, ...serve]).waitForOutput(/https:\/\/\S+/, 10_000);
      const secret = ["--secret", "correct horse battery staple orbit"];
      const up = (...flags: string[]) => a!.minitail("up", ...secret, ...flags);
      expectOneLine(await up("--registry", url!, "--token", "other"), 1, /^minitail: .*token/);
      const otherPin = url!.replace(/pin=.*/, `pin=${"A".repeat(43)}`);
      expectOneLine(await up("--registry", otherPin, "--token", "t0ken"), 1, /^minitail: .*(pin|key)/);
      const noPin = url!.replace(/#.*/, "");
      expectOneLine(await up("--registry", noPin, "--token", "t0ken"), 1, /^minitail: .*(pin|certificate)/);
      const pin = url!.replace(/.*#/, "");
      const noRoute = await up("--registry", `https://203.0.113.9:7411/#${pin}`, "--token", "t0ken", "--timeout", "2s");
      expectOneLine(noRoute, 1, /^waiting for the registry .*: network is unreachable\)/);
      const closed = await up("--registry", `https://192.0.2.1:9/#${pin}`, "--token", "t0ken", "--timeout", "2s");
      expectOneLine(closed, 1, /^waiting for the registry .*: connection refused\)/);
      const redis = ["redis-server", "--port", "6390", "--bind", "192.0.2.1", "--requirepass", "pass", "--save", ""];
      registry!.host.spawn(redis);
      await registry!.host.run(["sh", "-c", "while ! ss -ltn | grep -q 6390; do :; done"]);
      const wrongPassword = await up("--registry", "redis://:other@192.0.2.1:6390");
      expectOneLine(
        wrongPassword,
        1,
        /^minitail: the registry refuses the token: .*; check the token, or the user and/,
      );
      const again = await a!.minitail("up");
      expectOneLine(
        again,
        1,
        /^going on with what up was told before: to use a shared secret at redis:\/\/192\.0\.2\.1:6390;/,
      );
      expect(again.stderr).not.toContain("other");
      expectOneLine(await up("--registry", "ftp://192.0.2.1/"), 2, /^minitail: the registry's URL cannot be used/);
    },
    LIMIT_MS,
  );

  test(
    "a state directory that others can write to, or that is not whole",
    async () => {
      await using lab = await Lab.create("wrong-state");
      const [a] = await nodes(lab, "alpha");
      const state = "/var/lib/minitail";
      await a!.output("up", "-d");
      await a!.output("down");
      const sh = (command: string) => a!.host.output(["sh", "-c", command]);
      for (const up of [["up"], ["up", "-d"]]) {
        await sh(`chmod 777 ${state}`);
        expectOneLine(
          await a!.minitail(...up),
          4,
          /^minitail: others may write to the folder \/var\/lib\/minitail \(mode 0777\); .*chmod go-w \S+\n$/,
        );
        await sh(`chmod 755 ${state} && chown 1234 ${state}`);
        expectOneLine(await a!.minitail(...up), 4, /^minitail: \S+ belongs to user 1234, .*chown -R root \S+\n$/);
        await sh(`chown root ${state} && chown 1234 ${state}/identity`);
        expectOneLine(
          await a!.minitail(...up),
          4,
          /^minitail: \S+\/identity belongs to user 1234; .*chown root \S+\n$/,
        );
        await sh(`chown root ${state}/identity && chmod 666 ${state}/identity`);
        await sh(
          `cp -p ${state}/membership /membership && printf x | dd of=${state}/membership bs=1 seek=30 conv=notrunc`,
        );
        expectOneLine(
          await a!.minitail(...up),
          1,
          /^minitail: \S+\/membership is damaged: .*; put the state directory/,
        );
        expect(await sh(`stat -c %a ${state}/identity`)).toBe("600\n");
        await sh(`mv /membership ${state}/ && mv ${state}/registry.sqlite /data && mkdir ${state}/registry.sqlite`);
        expectOneLine(await a!.minitail(...up), 1, /^minitail: \S+\/registry.sqlite is a folder, .*; move it away/);
        await sh(`rmdir ${state}/registry.sqlite && mv /data ${state}/registry.sqlite`);
      }
      await a!.output("up", "-d");
      await a!.output("down");
    },
    LIMIT_MS,
  );

  test(
    "a disk without room for the state",
    async () => {
      await using lab = await Lab.create("wrong-disk");
      const [a] = await nodes(lab, "alpha");
      const fill =
        "mkdir -p /run/full && mount -t tmpfs -o size=64k none /run/full && head -c 65536 /dev/zero > /run/full/x";
      const command = `${fill}; exec "${MINITAIL}" up --state-dir /run/full/state`;
      const result = await a!.host.run(["unshare", "--mount", "sh", "-c", command]);
      expectOneLine(result, 1, /^minitail: cannot (write|make) .*(space|ENOSPC).*; .*--state-dir/i);
    },
    LIMIT_MS,
  );
});
