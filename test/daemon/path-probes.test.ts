import { expect, test } from "bun:test";
import { type Endpoint, parseEndpoint } from "../../src/base/ip.ts";
import { silentLog } from "../../src/base/log.ts";
import { PathMtus } from "../../src/daemon/path-mtus.ts";
import { MOST_PROBINGS, NETWORK_SETTLES_MS, PathProbes } from "../../src/daemon/path-probes.ts";
import { probeSizes, RAISE_AFTER_MS } from "../../src/path/path-probing.ts";
import { TestClock } from "./test-clock.ts";

const PEER = 3;
const MTU_BYTES = 1420;
/** Peers in use have another session after that. */
const SESSION_MS = 120_000;

/** Peers behind ways that take packets of so many bytes; undefined for those that answer none. */
function make() {
  const clock = new TestClock();
  const ways = new Map<number, number | undefined>([[PEER, 9000]]);
  const limits = new Map<number, number>();
  const kernel = { mtuBytes: 1500 };
  const sent: [slot: number, sizeBytes: number][] = [];
  const heard = new Set<() => void>();
  const messages: string[] = [];
  const endpoint: Endpoint = parseEndpoint("192.0.2.1:1")!;
  const plane = {
    mtuBytes: MTU_BYTES,
    endpoint: () => endpoint,
    setPacketLimit: (slot: number, limitBytes: number) => void limits.set(slot, limitBytes),
  };
  const mtus = new PathMtus(plane, () => kernel.mtuBytes);
  const peers = {
    probe(slot: number, sizeBytes: number, onAnswer: () => void) {
      if (!ways.has(slot)) return undefined;
      sent.push([slot, sizeBytes]);
      heard.add(onAnswer);
      const answer = () => heard.has(onAnswer) && onAnswer();
      if (sizeBytes <= (ways.get(slot) ?? 0)) clock.after(20, answer);
      return () => void heard.delete(onAnswer);
    },
    nameOf: (slot: number) => `peer${slot}`,
  };
  const log = { ...silentLog, info: (message: string) => void messages.push(message) };
  const subject = new PathProbes(mtus, peers, clock, log);
  /** What was sent since this was asked last. */
  const takeSent = () => sent.splice(0).map(([, sizeBytes]) => sizeBytes);
  return { clock, ways, limits, kernel, mtus, heard, messages, subject, sent, takeSent };
}

/** The peer's way takes 1330 bytes, and that is known. */
async function makeLimited() {
  const made = make();
  made.ways.set(PEER, 1330);
  made.subject.handleSession(PEER);
  await made.clock.advance(2000);
  expect(made.limits.get(PEER)).toBe(1328);
  made.takeSent();
  made.messages.splice(0);
  return made;
}

test("a wide path costs one packet a session", async () => {
  const { clock, limits, heard, messages, subject, takeSent } = make();
  for (let session = 0; session < 3; session++) {
    subject.handleSession(PEER);
    await clock.advance(120_000);
    expect(takeSent()).toEqual([MTU_BYTES]);
  }
  expect(limits.size).toBe(0);
  expect(messages).toEqual([]);
  expect(heard.size).toBe(0);
});

test("a narrow one is known within two seconds, and told of once", async () => {
  const { clock, ways, limits, heard, messages, subject, takeSent } = make();
  ways.set(PEER, 1330);
  subject.handleSession(PEER);
  await clock.advance(2000);
  expect(limits.get(PEER)).toBe(1328);
  expect(takeSent()).toEqual([MTU_BYTES, ...probeSizes(MTU_BYTES)]);
  expect(messages).toEqual(["packets larger than 1328 bytes get lost on the way to peer3: smaller ones are made"]);
  expect(heard.size).toBe(0);
});

test("larger packets than a limit are tried again each ten minutes, and the limit itself with each session", async () => {
  const { clock, ways, limits, messages, subject, takeSent } = await makeLimited();
  for (let minutes = 2; minutes < 10; minutes += 2) {
    subject.handleSession(PEER);
    await clock.advance(120_000);
    expect(takeSent()).toEqual([1328]);
  }
  await clock.advance(RAISE_AFTER_MS);
  subject.handleSession(PEER);
  await clock.advance(5000);
  expect(takeSent()).toEqual([MTU_BYTES, ...probeSizes(MTU_BYTES)]);
  expect(messages).toEqual([]);
  ways.set(PEER, 1250);
  subject.handleSession(PEER);
  await clock.advance(3000);
  expect(limits.get(PEER)).toBe(1248);
  ways.set(PEER, 1500);
  await clock.advance(RAISE_AFTER_MS);
  subject.handleSession(PEER);
  await clock.advance(100);
  expect(limits.get(PEER)).toBe(0);
  expect(messages.at(-1)).toBe("packets of all sizes go to peer3 again");
});

test("a peer that answers nothing keeps its limit, and one without is left alone for ten minutes", async () => {
  const { clock, ways, limits, subject, takeSent } = await makeLimited();
  ways.set(PEER, undefined);
  subject.handleSession(PEER);
  await clock.advance(10_000);
  expect(limits.get(PEER)).toBe(1328);
  const silent = 4;
  ways.set(silent, undefined);
  takeSent();
  subject.handleSession(silent);
  await clock.advance(10_000);
  expect(takeSent()).toEqual([MTU_BYTES, ...probeSizes(MTU_BYTES)]);
  subject.handleSession(silent);
  await clock.advance(RAISE_AFTER_MS);
  expect(takeSent()).toEqual([]);
  subject.handleSession(silent);
  await clock.advance(100);
  expect(takeSent()).toEqual([MTU_BYTES]);
  expect(limits.has(silent)).toBe(false);
});

test("where the peer moves, its new way is probed at once; what is silent there has no limit", async () => {
  const { clock, ways, limits, subject, takeSent } = await makeLimited();
  ways.set(PEER, 1500);
  subject.handleEndpoint(PEER);
  await clock.advance(100);
  expect(takeSent()).toEqual([MTU_BYTES]);
  expect(limits.get(PEER)).toBe(0);
  ways.set(PEER, 1250);
  subject.handleEndpoint(PEER);
  await clock.advance(2000);
  expect(limits.get(PEER)).toBe(1248);
  ways.set(PEER, undefined);
  subject.handleEndpoint(PEER);
  await clock.advance(2000);
  expect(limits.get(PEER)).toBe(0);
});

test("a move in the midst of probing begins anew, and answers of the former way count no more", async () => {
  const { clock, ways, limits, subject, heard } = make();
  ways.set(PEER, 600);
  subject.handleSession(PEER);
  await clock.advance(1010);
  ways.set(PEER, 1330);
  subject.handleEndpoint(PEER);
  expect(heard.size).toBe(1);
  await clock.advance(1900);
  expect(limits.size).toBe(0);
  await clock.advance(100);
  expect(limits.get(PEER)).toBe(1328);
});

test("a change of the network probes limits at once, all others in use when it has settled, no idle ones", async () => {
  const { clock, ways, limits, subject, takeSent, sent } = await makeLimited();
  const [other, idle] = [4, 5];
  for (const slot of [other, idle]) ways.set(slot, 1500);
  subject.handleSession(idle);
  await clock.advance(SESSION_MS);
  for (const slot of [PEER, other]) subject.handleSession(slot);
  await clock.advance(10_000);
  takeSent();
  ways.set(PEER, 1500);
  for (let i = 0; i < 10; i++) subject.handleNetworkChange();
  await clock.advance(100);
  expect(sent).toEqual([[PEER, MTU_BYTES]]);
  expect(limits.get(PEER)).toBe(0);
  takeSent();
  ways.set(other, 1250);
  await clock.advance(NETWORK_SETTLES_MS + 2000);
  expect(new Set(sent.map(([slot]) => slot))).toEqual(new Set([PEER, other]));
  expect(limits.get(other)).toBe(1248);
});

test("an idle peer is not probed where it moves", async () => {
  const { clock, subject, takeSent } = await makeLimited();
  await clock.advance(SESSION_MS);
  subject.handleEndpoint(PEER);
  subject.handleEndpoint(7);
  await clock.advance(5000);
  expect(takeSent()).toEqual([]);
});

test("few are probed at a time, and all in the end", async () => {
  const { clock, ways, limits, subject, sent } = make();
  const slots = Array.from({ length: 100 }, (_, slot) => slot);
  for (const slot of slots) {
    ways.set(slot, 1300);
    subject.handleSession(slot);
  }
  expect(sent).toHaveLength(MOST_PROBINGS);
  for (const slot of slots) subject.handleSession(slot);
  await clock.advance(1000);
  expect(new Set(sent.map(([slot]) => slot)).size).toBe(MOST_PROBINGS);
  // Those that are gone leave their places to others.
  for (const slot of slots.slice(0, 90).toReversed()) subject.forget(slot);
  expect(new Set(sent.map(([slot]) => slot)).size).toBe(MOST_PROBINGS + 10);
  await clock.advance(2000);
  expect([...limits].sort(([a], [b]) => a - b)).toEqual(slots.slice(90).map((slot) => [slot, 1296]));
});

test("what the kernel knows is not tried past, and the smaller limit counts", async () => {
  const { clock, ways, limits, kernel, mtus, subject, takeSent } = make();
  kernel.mtuBytes = 1400;
  mtus.measure(PEER);
  ways.set(PEER, 1250);
  subject.handleSession(PEER);
  await clock.advance(2000);
  expect(takeSent()[0]).toBe(1328);
  expect(limits.get(PEER)).toBe(1248);
  kernel.mtuBytes = 1280;
  mtus.measure(PEER);
  expect(limits.get(PEER)).toBe(1216);
  kernel.mtuBytes = 1500;
  mtus.measure(PEER);
  expect(limits.get(PEER)).toBe(1248);
  ways.set(PEER, 1500);
  subject.handleEndpoint(PEER);
  await clock.advance(100);
  expect(limits.get(PEER)).toBe(0);
});

test("a peer that nobody knows yet is probed with its next session", async () => {
  const { clock, ways, limits, subject } = make();
  ways.delete(PEER);
  subject.handleSession(PEER);
  await clock.advance(5000);
  ways.set(PEER, 1330);
  subject.handleSession(PEER);
  await clock.advance(2000);
  expect(limits.get(PEER)).toBe(1328);
});

test("nothing is sent after the end", async () => {
  const { clock, ways, subject, heard, takeSent } = make();
  ways.set(PEER, 600);
  subject.handleSession(PEER);
  subject.handleNetworkChange();
  subject.stop();
  takeSent();
  await clock.advance(RAISE_AFTER_MS);
  expect(takeSent()).toEqual([]);
  expect(heard.size).toBe(0);
});
