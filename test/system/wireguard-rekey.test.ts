/** Sessions that grow old in real time: a new handshake after 120 s, without a lost packet. Needs root and two minutes. */

import { expect, test } from "bun:test";
import { eventually, Lab } from "../lab/index.ts";
import { expectReplies, startPair, type WireguardProgram, wgDump } from "./wireguard-pair.ts";

/** REKEY_AFTER_TIME (WireGuard paper, section 6.1), and time for the packet that notices. */
const REKEY_LIMIT_MS = 135_000;

async function expectRekey(programs: readonly [WireguardProgram, WireguardProgram], family: 4 | 6): Promise<void> {
  await using lab = await Lab.create("rekey");
  const [a, b] = await startPair(lab, { programs, family, presharedKey: true });
  expect((await a.host.run(["ping", "-n", "-c", "1", "-W", "5", b.addresses[0]])).status).toBe(0);
  const first = await wgDump(a.host);
  const pinging = a.host.spawn(["ping", "-n", "-q", "-i", "0.1", "-W", "2", b.addresses[0]]);
  const second = await eventually(
    `a new handshake between ${programs.join(" and ")}`,
    async () => {
      const now = await wgDump(a.host);
      return now.latestHandshake > first.latestHandshake && now;
    },
    REKEY_LIMIT_MS,
  );
  expect(second.latestHandshake - first.latestHandshake).toBeGreaterThanOrEqual(119);
  // The new session carries packets as well, both ways.
  await expectReplies(b.host, a.addresses[1], 10);
  await pinging.stop("SIGINT");
  const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(pinging.stdout)!;
  expect(Number(sent)).toBeGreaterThan(500);
  // The one that was on its way when ping was stopped.
  expect(Number(sent) - Number(received)).toBeLessThanOrEqual(1);
}

test.concurrent(
  "minitail renews the session with wireguard-go",
  () => expectRekey(["minitail", "wireguard-go"], 4),
  180_000,
);
test.concurrent(
  "wireguard-go renews the session with minitail",
  () => expectRekey(["wireguard-go", "minitail"], 6),
  180_000,
);
test.concurrent("minitail renews the session with minitail", () => expectRekey(["minitail", "minitail"], 4), 180_000);
