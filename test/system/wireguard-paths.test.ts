/** Machines with several addresses, and addresses that mean something on one link alone. Needs root. */

import { describe, expect, test } from "bun:test";
import { Lab } from "../lab/index.ts";
import { expectReplies, INTERFACE, PORT, startPair, type WireguardEnd, wgDump } from "./wireguard-pair.ts";

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

        await change("del");
        await expectReplies(b.host, a.addresses[0]);
        expect((await wgDump(a.host)).endpoint).toBe(b.endpoint);
        await expectReplies(a.host, b.addresses[1]);
      },
      LIMIT_MS,
    );
  }
});

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
