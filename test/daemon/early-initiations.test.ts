import { expect, test } from "bun:test";
import { parseEndpoint } from "../../src/base/ip.ts";
import { EarlyInitiations } from "../../src/daemon/early-initiations.ts";

const source = parseEndpoint("192.0.2.1:7411")!;

test("initiations are kept for five seconds, and heard once", () => {
  const early = new EarlyInitiations();
  early.keep({ bytes: Uint8Array.of(1), source, cameMs: 1000 });
  early.keep({ bytes: Uint8Array.of(2), source, cameMs: 4000 });
  expect(early.take(6000).map(({ bytes }) => bytes[0])).toEqual([2]);
  expect(early.take(6000)).toEqual([]);
});

test("a flood leaves the newest", () => {
  const early = new EarlyInitiations();
  for (let i = 0; i < 1000; i++) early.keep({ bytes: Uint8Array.of(i >> 8, i & 255), source, cameMs: 1000 });
  const kept = early.take(1001);
  expect(kept.length).toBeLessThanOrEqual(64);
  expect(kept.at(-1)!.bytes).toEqual(Uint8Array.of(999 >> 8, 999 & 255));
});
