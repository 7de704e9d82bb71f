import { describe, expect, test } from "bun:test";
import {
  STAGED_BYTES_IN_ALL,
  STAGED_OVERHEAD_BYTES,
  STAGED_PACKETS_PER_PEER,
  Staging,
} from "../../src/dataplane/staging.ts";

test("packets come out in order, the oldest dropped past the bound, and each peer by itself", () => {
  const staging = new Staging();
  const buffer = new Uint8Array(8);
  let dropped = 0;
  for (let i = 0; i < STAGED_PACKETS_PER_PEER + 3; i++) {
    buffer[2] = i;
    dropped += staging.add(1, buffer, 2, 4);
  }
  staging.add(2, buffer, 0, 8);
  expect(dropped).toBe(3);
  const packets = staging.take(1);
  expect(packets.map((packet) => packet[0])).toEqual(Array.from({ length: STAGED_PACKETS_PER_PEER }, (_, i) => i + 3));
  expect(staging.take(1)).toEqual([]);
  expect(staging.take(2)).toHaveLength(1);
});

test("it is known for whom something waits, and whether anything does", () => {
  const staging = new Staging();
  expect(staging.isEmpty).toBe(true);
  staging.add(3, new Uint8Array(4), 0, 4);
  expect([staging.isEmpty, staging.has(3), staging.has(4)]).toEqual([false, true, false]);
  staging.take(3);
  expect([staging.isEmpty, staging.has(3)]).toEqual([true, false]);
});

describe("all peers together", () => {
  test("stay within the bound, and room comes back", () => {
    const staging = new Staging();
    const buffer = new Uint8Array(65_535);
    const most = Math.floor(STAGED_BYTES_IN_ALL / (buffer.length + STAGED_OVERHEAD_BYTES));
    for (let slot = 0; slot < most; slot++) expect(staging.add(slot, buffer, 0, buffer.length)).toBe(0);
    expect(staging.add(most, buffer, 0, buffer.length)).toBe(1);
    staging.take(most);
    expect(staging.add(most, buffer, 0, buffer.length)).toBe(0);
  });

  test("fill it with what small packets take in memory", () => {
    const staging = new Staging();
    const buffer = new Uint8Array(28);
    const most = Math.floor(STAGED_BYTES_IN_ALL / (buffer.length + STAGED_OVERHEAD_BYTES));
    let dropped = 0;
    for (let i = 0; i < most + 10; i++) dropped += staging.add(i % 8192, buffer, 0, buffer.length);
    expect(dropped).toBe(10);
  });

  test("leave room for a peer that has little: who has most gives it, the oldest first", () => {
    const staging = new Staging();
    const silentPeers = 200;
    const buffer = new Uint8Array(1420);
    for (let i = 0; i < STAGED_PACKETS_PER_PEER; i++) {
      buffer[0] = i;
      for (let slot = 0; slot < silentPeers; slot++) staging.add(slot, buffer, 0, buffer.length);
    }
    const [first, second] = [1, 2].map((byte) => new Uint8Array(1420).fill(byte)) as [Uint8Array, Uint8Array];
    expect(staging.add(1000, first, 0, first.length)).toBe(1);
    expect(staging.add(1000, second, 0, second.length)).toBe(1);
    expect(staging.take(1000)).toEqual([first, second]);
    const kept = Array.from({ length: silentPeers }, (_, slot) => staging.take(slot).map((packet) => packet[0]!));
    for (const packets of kept) {
      expect(packets).toEqual(packets.map((_, i) => STAGED_PACKETS_PER_PEER - packets.length + i));
    }
    const lengths = kept.map((packets) => packets.length);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(2 * Math.min(...lengths));
    expect(staging.isEmpty).toBe(true);
  });
});
