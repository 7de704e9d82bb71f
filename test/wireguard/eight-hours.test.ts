/** A working day of rekeys on a fake clock: nothing piles up, and no packet is lost but by the network. */

import { heapStats } from "bun:jsc";
import { expect, test } from "bun:test";
import {
  MAXIMUM_SESSIONS,
  SESSION_ROW_LENGTH_BYTES,
  SESSIONS_OFFSET,
  SessionWord,
} from "../../src/dataplane/layout.ts";
import type { SharedTables } from "../../src/dataplane/shared-tables.ts";
import { MESSAGE_INITIATION, MESSAGE_TRANSPORT, TRANSPORT_MINIMUM_LENGTH_BYTES } from "../../src/wire/wireguard.ts";
import type { NetworkBehaviour, SentDatagram } from "./simulation.ts";
import { newNetwork } from "./tables-plane.ts";

const HOURS = 8;
const INTERVAL_MS = 2_000;
const PACKETS_AN_HOUR = 3_600_000 / INTERVAL_MS;
const MOST_SESSIONS = 3;
/** Some 30 rekeys an hour: half of what one forgotten object for each of them, on one side, would add. */
const MOST_OBJECTS_MORE_AN_HOUR = 14;

/** Rows that hold a session. */
function liveSessions({ words }: SharedTables): number {
  let live = 0;
  for (let row = 0; row < MAXIMUM_SESSIONS; row++) {
    const word = (SESSIONS_OFFSET + row * SESSION_ROW_LENGTH_BYTES) / 4;
    if (words[word + SessionWord.peerSlot] !== 0) live++;
  }
  return live;
}

/**
 * Objects on the heap that something holds. A turn of the event loop first, because the collector takes whatever looks
 * like an address on the stack for one, and a stale word there can hold all that an hour sent.
 */
async function countObjects(): Promise<number> {
  await Bun.sleep(0);
  Bun.gc(true);
  return heapStats().objectCount;
}

/**
 * What each hour added, as the middle of the slopes between any two of them (Theil and Sen). What piles up does so in
 * every hour; what the process does besides, such as compiling and letting go of what earlier tests left, comes in one.
 */
function growthAnHour(counts: readonly number[]): number {
  const slopes = counts.flatMap((later, j) => counts.slice(0, j).map((earlier, i) => (later - earlier) / (j - i)));
  return slopes.sort((a, b) => a - b)[Math.floor(slopes.length / 2)]!;
}

function isData({ bytes }: SentDatagram): boolean {
  return bytes[0] === MESSAGE_TRANSPORT && bytes.length > TRANSPORT_MINIMUM_LENGTH_BYTES;
}

test.each<[string, NetworkBehaviour]>([
  ["calm", { delayMs: [15, 15], lost: 0, repeated: 0 }],
  ["that loses one in a hundred, repeats and reorders", { delayMs: [10, 60], lost: 0.01, repeated: 0.005 }],
])(
  "eight hours on a network %s",
  async (_name, network) => {
    const { simulation, hosts, planes } = newNetwork(81, 2);
    simulation.network = network;
    const [a, b] = [hosts[0]!, hosts[1]!];
    const objectsAfterHour: number[] = [];
    let rekeys = 0;
    for (let hour = 0; hour < HOURS; hour++) {
      for (let i = 0; i < PACKETS_AN_HOUR; i++) {
        a.sendTo(b, `a${hour}:${i}`);
        b.sendTo(a, `b${hour}:${i}`);
        // Several at once, which a network with a wide range of delays delivers in another order.
        if (i % 10 === 0) for (let j = 0; j < 5; j++) a.sendTo(b, `a${hour}:${i}.${j}`);
        simulation.run(INTERVAL_MS);
      }
      simulation.run(1_000);
      const lost = new Set(simulation.lost.filter(isData));
      for (const [from, to] of [
        [a, b],
        [b, a],
      ] as const) {
        const sent = simulation.sent.filter((datagram) => datagram.from === from && isData(datagram));
        const arrived = to.receivedFrom(from);
        expect(sent).toHaveLength(PACKETS_AN_HOUR + (from === a ? PACKETS_AN_HOUR / 2 : 0));
        expect(arrived).toHaveLength(sent.filter((datagram) => !lost.has(datagram)).length);
        expect(new Set(arrived).size).toBe(arrived.length);
      }
      rekeys += simulation.sentOfType(MESSAGE_INITIATION).length;
      for (const { tables } of planes) {
        expect(liveSessions(tables)).toBeLessThanOrEqual(MOST_SESSIONS);
        expect(liveSessions(tables)).toBeGreaterThan(0);
      }
      // What the test itself keeps.
      for (const host of hosts) for (const kept of [host.delivered, host.actions]) (kept as unknown[]).length = 0;
      simulation.sent.length = 0;
      simulation.lost.length = 0;
      objectsAfterHour.push(await countObjects());
    }
    expect(rekeys).toBeGreaterThanOrEqual((HOURS * 3_600) / 125);
    expect(growthAnHour(objectsAfterHour.slice(1))).toBeLessThan(MOST_OBJECTS_MORE_AN_HOUR);
  },
  120_000,
);
