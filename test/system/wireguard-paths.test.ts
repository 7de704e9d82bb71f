/** Machines with several addresses, and addresses that mean something on one link alone. Needs root. */

import { describe, expect, test } from "bun:test";
import { eventually, Lab } from "../lab/index.ts";
import {
  type ConnectHosts,
  expectReplies,
  INTERFACE,
  PORT,
  startPair,
  type WireguardEnd,
  wgDump,
} from "./wireguard-pair.ts";

const LIMIT_MS = 60_000;

async function setEndpoint(own: WireguardEnd, peer: WireguardEnd, endpoint: string): Promise<void> {
  await own.host.output(["wg", "set", INTERFACE, "peer", peer.publicKey, "endpoint", endpoint]);
}

describe("a machine with two addresses", () => {
  for (const [family, second, length] of [
    [4, "192.0.2.22", 24],
    [6, "2001:db8::22", 64],
  ] as const) {
    test(
      `answers from the one that was asked, and from the other once that is gone, over IPv${family}`,
      async () => {
        await using lab = await Lab.create("paths");
        const [a, b] = await startPair(lab, { programs: ["minitail", "minitail"], family, presharedKey: false });
        const change = (verb: string) =>
          b.host.output([
            "ip",
            "address",
            verb,
            `${second}/${length}`,
            "dev",
            "eth0",
            ...(verb === "add" ? ["noprefixroute"] : []),
          ]);
        await change("add");
        const endpoint = family === 4 ? `${second}:${PORT}` : `[${second}]:${PORT}`;
        await setEndpoint(a, b, endpoint);
        await expectReplies(a.host, b.addresses[0]);
        await expectReplies(b.host, a.addresses[1]);
        expect((await wgDump(a.host)).endpoint).toBe(endpoint);

        // A container comes, or our own route to a new peer: what has nothing to do with the peer changes nothing.
        await b.host.output(["ip", "link", "add", "other0", "up", "type", "veth", "peer", "name", "other1"]);
        await b.host.output(["ip", "address", "add", "198.51.100.1/24", "dev", "other0"]);
        await b.host.output(["ip", "route", "add", "203.0.113.0/24", "dev", "other0"]);
        await expectReplies(b.host, a.addresses[0]);
        expect((await wgDump(a.host)).endpoint).toBe(endpoint);

        await change("del");
        await expectReplies(b.host, a.addresses[0]);
        expect((await wgDump(a.host)).endpoint).toBe(b.endpoint);
        await expectReplies(a.host, b.addresses[1]);
      },
      LIMIT_MS,
    );
  }
});

test(
  "a machine whose packets leave by another interface sends from an address of that",
  async () => {
    await using lab = await Lab.create("ways");
    const lan = lab.switch("lan");
    const connect: ConnectHosts = async (_, [a, b]) => {
      a.connect(lan, { address: ["192.0.2.1/24", "2001:db8::1/64"] });
      b.connect(lan, { address: ["192.0.2.2/24", "2001:db8::2/64"] });
      return [
        ["192.0.2.1", "2001:db8::1"],
        ["192.0.2.2", "2001:db8::2"],
      ];
    };
    const programs = ["minitail", "minitail"] as const;
    const [a, b] = await startPair(lab, { programs, family: 4, presharedKey: false, connect });
    await expectReplies(a.host, b.addresses[0]);
    b.host.connect(lan, { address: ["192.0.2.3/24"] });
    await expectReplies(b.host, a.addresses[0]);
    expect((await wgDump(a.host)).endpoint).toBe(b.endpoint);
    await b.host.output(["ip", "route", "add", "192.0.2.1/32", "dev", "eth1"]);
    await eventually(
      "the other address",
      async () => {
        await expectReplies(b.host, a.addresses[0], 1);
        return (await wgDump(a.host)).endpoint === `192.0.2.3:${PORT}`;
      },
      LIMIT_MS / 2,
    );
  },
  LIMIT_MS,
);

test(
  "a machine with two addresses asks for a session from the one that its peer talks to",
  async () => {
    await using lab = await Lab.create("asking");
    const [a, b] = await startPair(lab, { programs: ["minitail", "minitail"], family: 4, presharedKey: false });
    await b.host.output(["ip", "address", "add", "192.0.2.22/24", "dev", "eth0"]);
    await setEndpoint(a, b, `192.0.2.22:${PORT}`);
    await expectReplies(a.host, b.addresses[0]);
    // The peer forgets its sessions and where the machine is, and can't answer the other address.
    await a.host.output(["ip", "route", "add", "blackhole", "192.0.2.2/32"]);
    const peer = ["wg", "set", INTERFACE, "peer", b.publicKey];
    await a.host.output([...peer, "remove"]);
    await a.host.output([...peer, "allowed-ips", `${b.addresses[0]}/32`]);
    await eventually(
      "a session that the machine asked for",
      async () => (await b.host.run(["ping", "-n", "-c", "1", "-W", "1", a.addresses[0]])).status === 0,
      LIMIT_MS / 2,
    );
    expect((await wgDump(a.host)).endpoint).toBe(`192.0.2.22:${PORT}`);
  },
  LIMIT_MS,
);

test.each(["minitail", "minitail-plain"] as const)(
  "%s reaches a peer by a link-local address, and says by which link",
  async (program) => {
    await using lab = await Lab.create("zones");
    const [a, b] = await startPair(lab, { programs: [program, program], family: 6, presharedKey: false });
    const addresses = await b.host.output(["ip", "-6", "-brief", "address", "show", "dev", "eth0", "scope", "link"]);
    const address = /(fe80::[0-9a-f:]+)/.exec(addresses)![1]!;
    await setEndpoint(a, b, `[${address}%eth0]:${PORT}`);
    await expectReplies(a.host, b.addresses[0]);
    await expectReplies(b.host, a.addresses[1]);
    expect((await wgDump(a.host)).endpoint).toBe(`[${address}%eth0]:${PORT}`);
    expect((await wgDump(b.host)).endpoint).toMatch(/^\[fe80::.*%eth0\]:/);
  },
  LIMIT_MS,
);
