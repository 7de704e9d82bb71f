import { expect, test } from "bun:test";
import { type Endpoint, parseEndpoint } from "../../src/base/ip.ts";
import { PathMtus } from "../../src/daemon/path-mtus.ts";

const WIDE = parseEndpoint("192.0.2.1:1")!;
const NARROW = parseEndpoint("198.51.100.1:1")!;

function make() {
  const endpoints = new Map<number, Endpoint>([[1, WIDE]]);
  const limits = new Map<number, number>();
  const pathMtus = new Map<Endpoint, number>([
    [WIDE, 1500],
    [NARROW, 1280],
  ]);
  const plane = {
    mtuBytes: 1420,
    endpoint: (slot: number) => endpoints.get(slot),
    setPacketLimit: (slot: number, limitBytes: number) => void limits.set(slot, limitBytes),
  };
  return { endpoints, limits, pathMtus, subject: new PathMtus(plane, (endpoint) => pathMtus.get(endpoint)) };
}

test("a limit goes with the way to the peer, and is written when it changes", () => {
  const { endpoints, limits, pathMtus, subject } = make();
  expect(subject.measure(1)).toBe(false);
  expect(limits.size).toBe(0);
  endpoints.set(1, NARROW);
  expect(subject.measure(1)).toBe(true);
  expect(limits.get(1)).toBe(1216);
  expect(subject.measure(1)).toBe(false);
  pathMtus.set(NARROW, 1400);
  expect(subject.measure(1)).toBe(true);
  expect(limits.get(1)).toBe(1328);
  endpoints.set(1, WIDE);
  expect(subject.measure(1)).toBe(true);
  expect(limits.get(1)).toBe(0);
});

test("a change of the network asks about the narrow paths alone", () => {
  const { endpoints, limits, pathMtus, subject } = make();
  endpoints.set(2, NARROW);
  for (const slot of [1, 2]) subject.measure(slot);
  pathMtus.set(WIDE, 1300);
  pathMtus.set(NARROW, 1500);
  subject.measureNarrow();
  expect([...limits]).toEqual([[2, 0]]);
});

test("nothing is known of a peer without an endpoint or a route", () => {
  const { endpoints, limits, pathMtus, subject } = make();
  endpoints.set(1, NARROW);
  subject.measure(1);
  pathMtus.delete(NARROW);
  expect(subject.measure(1)).toBe(true);
  expect(limits.get(1)).toBe(0);
  endpoints.delete(1);
  expect(subject.measure(1)).toBe(false);
});
