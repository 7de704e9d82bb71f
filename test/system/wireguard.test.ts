/** `minitail wireguard` beside wireguard-go, driven by `wg` and `wg-quick`. Needs root. */

import { describe, expect, test } from "bun:test";
import { existsSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { eventually, Lab } from "../lab/index.ts";
import { MINITAIL, traces } from "./mesh-node.ts";
import {
  checksumErrors,
  expectReplies,
  INTERFACE,
  PORT,
  startPair,
  startWireguard,
  type WireguardEnd,
  wgDump,
} from "./wireguard-pair.ts";

const LIMIT_MS = 60_000;

/** 20 MB by TCP, and the hash of what came is the hash of what was sent. */
async function expectStream(sender: WireguardEnd, receiver: WireguardEnd, address: string): Promise<void> {
  const kind = address.startsWith("[") ? "TCP6" : "TCP4";
  const receiving = receiver.host.spawn(["sh", "-c", `socat -u ${kind}-LISTEN:9000,reuseaddr STDOUT | sha256sum`]);
  await receiver.host.output(["sh", "-c", "while ! ss -ltn | grep -q :9000; do :; done"]);
  const send = `head -c 20000000 /dev/urandom > /run/data; socat -u FILE:/run/data ${kind}:${address}:9000`;
  const sent = await sender.host.output(["sh", "-c", `${send}; sha256sum < /run/data`]);
  await receiving.exited;
  expect(receiving.stdout).toBe(sent);
}

describe("minitail wireguard and wireguard-go", () => {
  for (const programs of [
    ["minitail", "wireguard-go"],
    ["wireguard-go", "minitail"],
    ["minitail", "minitail"],
    ["minitail-plain", "wireguard-go"],
    ["wireguard-go", "minitail-plain"],
    ["minitail-plain", "minitail"],
  ] as const) {
    for (const family of [4, 6] as const) {
      for (const presharedKey of [false, true]) {
        const title = `${programs[0]} begins, ${programs[1]} answers, over IPv${family}${presharedKey ? ", preshared key" : ""}`;
        test(
          title,
          async () => {
            await using lab = await Lab.create("wireguard");
            const [a, b] = await startPair(lab, { programs, family, presharedKey });
            await expectReplies(a.host, b.addresses[0]);
            await expectReplies(b.host, a.addresses[1]);
            // The largest packet that fits, and one that the inner network has to cut up.
            expect(
              (await a.host.run(["ping", "-n", "-c", "1", "-W", "3", "-M", "do", "-s", "1392", b.addresses[0]])).status,
            ).toBe(0);
            expect((await a.host.run(["ping", "-n", "-c", "1", "-W", "3", "-s", "8000", b.addresses[0]])).status).toBe(
              0,
            );
            const [atA, atB] = [await wgDump(a.host), await wgDump(b.host)];
            expect(atB.endpoint).toBe(a.endpoint);
            expect(Math.abs(atA.latestHandshake * 1000 - Date.now())).toBeLessThan(20_000);
            // Handshakes count, on whichever side and by whichever program.
            expect([atA.txBytes, atA.rxBytes]).toEqual([atB.rxBytes, atB.txBytes]);
            expect(atA.rxBytes).toBeGreaterThan(8000);
          },
          LIMIT_MS,
        );
      }
    }
  }

  for (const programs of [
    ["minitail", "wireguard-go"],
    ["minitail", "minitail-plain"],
    ["minitail", "minitail"],
  ] as const) {
    for (const family of [4, 6] as const) {
      test(
        `TCP and UDP over IPv${family} between ${programs.join(" and ")} carry what was sent, whole`,
        async () => {
          await using lab = await Lab.create("wireguard-tcp");
          const [a, b] = await startPair(lab, { programs, family, presharedKey: false });
          for (const [sender, receiver] of [
            [a, b],
            [b, a],
          ] as const) {
            await expectStream(sender, receiver, family === 4 ? receiver.addresses[0] : `[${receiver.addresses[1]}]`);
          }
          for (const { host } of [a, b]) expect(await checksumErrors(host)).toEqual([0, 0, 0]);
        },
        LIMIT_MS,
      );
    }
  }

  // wireguard-go of 2022 goes on sending from the address that it no longer has, so it does not move here.
  for (const other of ["wireguard-go", "minitail"] as const) {
    test(
      `${other} follows a minitail that moves to another address`,
      async () => {
        await using lab = await Lab.create("wireguard-roam");
        const [a, b] = await startPair(lab, { programs: ["minitail", other], family: 4, presharedKey: false });
        await expectReplies(a.host, b.addresses[0]);
        a.host.cables[0]!.near.setAddresses({ address: "192.0.2.77/24" });
        // The answer to the first packet may leave before the main thread has heard of the move.
        await a.host.run(["ping", "-n", "-c", "1", "-W", "1", b.addresses[0]]);
        await expectReplies(a.host, b.addresses[0]);
        await eventually("b to follow", async () => (await wgDump(b.host)).endpoint === `192.0.2.77:${PORT}`, 2000);
        await expectReplies(b.host, a.addresses[0]);
      },
      LIMIT_MS,
    );
  }
});

test(
  "minitail's socket takes a mark while it runs, and keeps its port while the interface is down",
  async () => {
    await using lab = await Lab.create("wireguard-socket");
    const [a, b] = await startPair(lab, { programs: ["minitail", "minitail"], family: 4, presharedKey: false });
    await expectReplies(a.host, b.addresses[0]);
    // The mark has packets of the tunnel take another way than all others, as with wg-quick and a default route.
    await a.host.output(["wg", "set", INTERFACE, "fwmark", "51820"]);
    await expectReplies(a.host, b.addresses[0]);
    await a.host.output(["ip", "rule", "add", "fwmark", "51820", "blackhole"]);
    expect((await a.host.run(["ping", "-n", "-c", "1", "-W", "1", b.addresses[0]])).status).not.toBe(0);
    await a.host.output(["wg", "set", INTERFACE, "fwmark", "off"]);
    await expectReplies(a.host, b.addresses[0]);

    await a.host.output(["wg", "set", INTERFACE, "listen-port", "0"]);
    const port = () => a.host.output(["wg", "show", INTERFACE, "listen-port"]);
    const chosen = await port();
    expect(chosen).not.toBe(`${PORT}\n`);
    const sockets = async () => (await a.host.output(["ss", "-Huln"])).trim();
    await a.host.output(["ip", "link", "set", INTERFACE, "down"]);
    await eventually("the socket to be gone", async () => (await sockets()) === "", 5000);
    await a.host.output(["ip", "link", "set", INTERFACE, "up"]);
    await eventually("the socket to be back", async () => (await sockets()) !== "", 5000);
    expect(await port()).toBe(chosen);
    // The socket is seen a moment before the worker has it; what is sent until then is lost.
    await a.host.run(["ping", "-n", "-c", "1", "-W", "1", b.addresses[0]]);
    await expectReplies(a.host, b.addresses[0]);
  },
  LIMIT_MS,
);

describe("minitail wireguard as a program", () => {
  test(
    "without -f it returns when the interface is there, and the interface goes with SIGTERM",
    async () => {
      await using lab = await Lab.create("wireguard-daemon");
      const host = await lab.host("a");
      const clean = await traces(host);
      await host.output([MINITAIL, "wireguard", INTERFACE]);
      expect(await host.output(["wg", "show", "interfaces"])).toBe(`${INTERFACE}\n`);
      const pid = (
        await host.output(["sh", "-c", `ss -lxp | sed -n 's/.*${INTERFACE}[.]sock.*pid=\\([0-9]*\\).*/\\1/p'`])
      ).trim();
      process.kill(Number(pid), "SIGTERM");
      await eventually("nothing to be left", async () => (await traces(host)) === clean, 5000);
    },
    LIMIT_MS,
  );

  for (const [title, command] of [
    ["the interface is deleted", ["ip", "link", "delete", INTERFACE]],
    ["its socket is removed", ["rm", `/run/wireguard/${INTERFACE}.sock`]],
  ] as const) {
    test(
      `ends cleanly when ${title}`,
      async () => {
        await using lab = await Lab.create("wireguard-end");
        const host = await lab.host("a");
        const clean = await traces(host);
        const running = await startWireguard(host, "minitail");
        await host.output(command);
        expect(await running.waitForExit(5000)).toMatchObject({ status: 0 });
        expect(await traces(host)).toBe(clean);
      },
      LIMIT_MS,
    );
  }

  test(
    "a killed one leaves a socket that the next one replaces, and a second one is refused",
    async () => {
      await using lab = await Lab.create("wireguard-again");
      const host = await lab.host("a");
      const first = await startWireguard(host, "minitail");
      first.kill("SIGKILL");
      await first.exited;
      expect(existsSync(host.path(`/run/wireguard/${INTERFACE}.sock`))).toBe(true);
      await startWireguard(host, "minitail");
      const second = await host.run([MINITAIL, "wireguard", "-f", INTERFACE]);
      expect(second).toMatchObject({
        status: 1,
        stderr: expect.stringMatching(/^minitail: .*wg0.* exists already; .+\n$/),
      });
    },
    LIMIT_MS,
  );

  test(
    "500 peers with 65,000 allowed IPs in one setconf, shown and synchronised again",
    async () => {
      await using lab = await Lab.create("wireguard-large");
      const host = await lab.host("a");
      await startWireguard(host, "minitail");
      const lines = ["[Interface]", `ListenPort = ${PORT}`];
      for (let peer = 0, address = 0; peer < 500; peer++) {
        const prefixes = Array.from(
          { length: 130 },
          () => `10.${address >> 16}.${(address >> 8) & 255}.${address++ & 255}/32`,
        );
        const key = crypto.getRandomValues(new Uint8Array(32)).toBase64();
        lines.push("[Peer]", `PublicKey = ${key}`, `AllowedIPs = ${prefixes.join(",")}`);
      }
      writeFileSync(host.path("/run/large.conf"), `${lines.join("\n")}\n`);
      for (const verb of ["setconf", "syncconf"]) await host.output(["wg", verb, INTERFACE, "/run/large.conf"]);
      const shown = await host.output(["wg", "show", INTERFACE, "allowed-ips"]);
      expect(shown.trim().split("\n")).toHaveLength(500);
      expect(shown.match(/\d\.\d+\/32\b/g)).toHaveLength(65_000);
    },
    LIMIT_MS,
  );

  test(
    "wg-quick uses it through a link, in the place of wireguard-go",
    async () => {
      await using lab = await Lab.create("wireguard-quick");
      const [a, b] = await startPair(lab, {
        programs: ["wireguard-go", "wireguard-go"],
        family: 4,
        presharedKey: false,
      });
      await b.program.stop();
      const link = b.host.path("/run/minitail-wireguard");
      symlinkSync(MINITAIL, link);
      const lines = [
        "[Interface]",
        `PrivateKey = ${b.privateKey}`,
        `ListenPort = ${PORT}`,
        `Address = ${b.addresses[0]}/24, ${b.addresses[1]}/64`,
        "[Peer]",
        `PublicKey = ${a.publicKey}`,
        `AllowedIPs = ${a.addresses[0]}/32, ${a.addresses[1]}/128`,
        `Endpoint = ${a.endpoint}`,
        "PersistentKeepalive = 25",
      ];
      writeFileSync(b.host.path(`/run/${INTERFACE}.conf`), `${lines.join("\n")}\n`, { mode: 0o600 });
      const env = { WG_QUICK_USERSPACE_IMPLEMENTATION: "/run/minitail-wireguard" };
      await b.host.output(["wg-quick", "up", `/run/${INTERFACE}.conf`], { env });
      await expectReplies(b.host, a.addresses[0]);
      await expectReplies(a.host, b.addresses[1]);
      await b.host.output(["wg-quick", "down", `/run/${INTERFACE}.conf`], { env });
      await eventually(
        "the interface to be gone",
        async () => (await b.host.run(["ip", "link", "show", INTERFACE])).status !== 0,
        5000,
      );
      rmSync(link);
    },
    LIMIT_MS,
  );
});
