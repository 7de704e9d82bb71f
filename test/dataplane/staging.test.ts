import { expect, test } from "bun:test";
import { STAGED_BYTES_IN_ALL, STAGED_PACKETS_PER_PEER, Staging } from "../../src/dataplane/staging.ts";

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

test("all peers together stay within the bound, and room comes back", () => {
  const staging = new Staging();
  const buffer = new Uint8Array(65_535);
  const peers = Math.floor(STAGED_BYTES_IN_ALL / buffer.length);
  for (let slot = 0; slot < peers; slot++) expect(staging.add(slot, buffer, 0, buffer.length)).toBe(0);
  expect(staging.add(peers, buffer, 0, buffer.length)).toBe(1);
  staging.take(0);
  expect(staging.add(peers, buffer, 0, buffer.length)).toBe(0);
});
