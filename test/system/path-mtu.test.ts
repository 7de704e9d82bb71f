/** Paths that are narrower than the tunnel's packets, through a router. Needs root. */

import { describe, expect, test } from "bun:test";
import { eventually, type Host, Lab } from "../lab/index.ts";
import { type ConnectHosts, startPair, type WireguardEnd, wgDump } from "./wireguard-pair.ts";

const LIMIT_MS = 60_000;
const STREAM_LIMIT_MS = 15_000;
const STREAM_BYTES = 20_000_000;

/** a and b with a router between them; the way from it to b has the MTU. */
function throughRouter(mtu: number): ConnectHosts {
  return async (lab, [a, b]) => {
    const router = await lab.router("r", { kind: "open" });
    const near = { address: ["192.0.2.254/24", "2001:db8:1::fe/64"], side: "inside" as const };
    const far = { address: ["198.51.100.254/24", "2001:db8:2::fe/64"], side: "outside" as const };
    a.connect(router, {
      address: ["192.0.2.1/24", "2001:db8:1::1/64"],
      gateway: ["192.0.2.254", "2001:db8:1::fe"],
      peer: near,
    });
    b.connect(router, {
      address: ["198.51.100.1/24", "2001:db8:2::1/64"],
      gateway: ["198.51.100.254", "2001:db8:2::fe"],
      peer: far,
      mtu,
    });
    return [
      ["192.0.2.1", "2001:db8:1::1"],
      ["198.51.100.1", "2001:db8:2::1"],
    ];
  };
}

/** Sends a stream from one end to the other, and does `midway` when half of it has left. It arrives whole. */
async function expectStream(from: WireguardEnd, to: WireguardEnd, family: 4 | 6, midway = () => {}): Promise<void> {
  const address = family === 4 ? to.addresses[0] : `[${to.addresses[1]}]`;
  const receiving = to.host.spawn(["sh", "-c", `socat -u TCP${family}-LISTEN:9000,reuseaddr STDOUT | sha256sum`]);
  await eventually("a listener", async () => (await to.host.output(["ss", "-ltn"])).includes(":9000"), STREAM_LIMIT_MS);
  const half = STREAM_BYTES / 2;
  await from.host.output([
    "sh",
    "-c",
    `head -c ${STREAM_BYTES} /dev/urandom > /run/data; rm -f /run/gate; mkfifo /run/gate`,
  ]);
  const before = (await wgDump(from.host)).txBytes;
  const halves = `head -c ${half} /run/data; read -r _ < /run/gate; tail -c ${half} /run/data`;
  const sending = from.host.spawn(["sh", "-c", `{ ${halves}; } | socat -u STDIN TCP${family}:${address}:9000`]);
  const isMidway = async () => (await wgDump(from.host)).txBytes > before + half;
  await eventually("half of it to have left", isMidway, STREAM_LIMIT_MS);
  midway();
  await from.host.output(["sh", "-c", "echo > /run/gate"]);
  await sending.waitForExit(STREAM_LIMIT_MS);
  await receiving.waitForExit(STREAM_LIMIT_MS);
  expect(receiving.stdout).toBe(await from.host.output(["sh", "-c", "sha256sum < /run/data"]));
}

/** Packets that the host cut into fragments, of both families. */
async function fragmented(host: Host): Promise<number> {
  const text = await host.output(["cat", "/proc/net/snmp", "/proc/net/snmp6"]);
  const [names, values] = text
    .split("\n")
    .filter((line) => line.startsWith("Ip:"))
    .map((line) => line.split(" "));
  const ipv4 = Number(values![names!.indexOf("FragOKs")]);
  return ipv4 + Number(/Ip6FragOKs\s+(\d+)/.exec(text)![1]);
}

/** The MTU that the host's kernel uses for packets to `address`. */
async function routeMtu(host: Host, address: string): Promise<number> {
  return Number(/ mtu (\d+)/.exec(await host.output(["ip", "route", "get", address]))?.[1] ?? 0);
}

describe("a path with a link of 1280 bytes", () => {
  // What a sends is refused by the router, what b sends by its own link.
  for (const sender of ["a", "b"] as const) {
    for (const [outside, limit] of [
      [4, 1216],
      [6, 1200],
    ] as const) {
      test(
        `carries streams of ${sender} over IPv${outside} in packets that fit`,
        async () => {
          await using lab = await Lab.create("path-mtu");
          const connect = throughRouter(1280);
          const programs = ["minitail", "minitail"] as const;
          const [a, b] = await startPair(lab, { programs, family: outside, presharedKey: false, connect });
          const [from, to] = sender === "a" ? [a, b] : [b, a];
          // b learns where a is.
          await a.host.output(["ping", "-n", "-c", "1", "-W", "5", b.addresses[0]]);
          await expectStream(from, to, 4);
          expect(await routeMtu(from.host, to.addresses[0])).toBe(limit);
          // Of some 17,000: those that were on their way already.
          expect(await fragmented(from.host)).toBeLessThan(1000);
          // Packets of IPv6 can't be made small enough: they go in fragments.
          await expectStream(from, to, 6);
          expect(await routeMtu(from.host, to.addresses[1])).toBe(1280);
        },
        LIMIT_MS,
      );
    }
  }
});

for (const program of ["minitail", "minitail-plain"] as const) {
  test(
    `a stream of ${program} goes on when its path becomes narrower`,
    async () => {
      await using lab = await Lab.create("path-mtu");
      const programs = [program, program] as const;
      const connect = throughRouter(1500);
      const [a, b] = await startPair(lab, { programs, family: 4, presharedKey: false, connect });
      const { near, far } = b.host.cables[0]!;
      await expectStream(a, b, 4, () => {
        near.setMtu(1380);
        far!.setMtu(1380);
      });
      // The whole of it may have been on its way by then: this one finds the path narrow.
      await expectStream(a, b, 4);
      if (program === "minitail") expect(await routeMtu(a.host, b.addresses[0])).toBe(1312);
    },
    LIMIT_MS,
  );
}

test(
  "packets grow again when their path does, once the kernel has forgotten that it was narrow",
  async () => {
    await using lab = await Lab.create("path-mtu");
    const programs = ["minitail", "minitail"] as const;
    const connect = throughRouter(1500);
    const [a, b] = await startPair(lab, { programs, family: 4, presharedKey: false, connect });
    const { near, far } = b.host.cables[0]!;
    for (const end of [near, far!]) end.setMtu(1380);
    // Ten minutes otherwise.
    a.host.setSysctl("net.ipv4.route.mtu_expires", 2);
    await expectStream(a, b, 4);
    expect(await routeMtu(a.host, b.addresses[0])).toBe(1312);
    for (const end of [near, far!]) end.setMtu(1500);
    await eventually("the path to be forgotten", async () => (await routeMtu(a.host, "198.51.100.1")) === 0, 5000);
    // A change of the machine's network has minitail ask again, as a new session would.
    a.host.cables[0]!.near.setAddresses({ address: "192.0.2.1/25", gateway: "192.0.2.126" });
    a.host.cables[0]!.far!.setAddresses({ address: ["192.0.2.126/25"] });
    const passesWhole = async () => {
      const before = await fragmented(a.host);
      const { status } = await a.host.run([
        "ping",
        "-n",
        "-c",
        "1",
        "-W",
        "1",
        "-M",
        "do",
        "-s",
        "1392",
        b.addresses[0],
      ]);
      const isWhole = (await fragmented(a.host)) === before && (await routeMtu(a.host, b.addresses[0])) === 0;
      return status === 0 && isWhole;
    };
    await eventually("the largest packets to pass whole", passesWhole, 10_000);
  },
  LIMIT_MS,
);
