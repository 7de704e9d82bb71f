import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { formatHex } from "../../src/base/bytes.ts";
import { Chain } from "../../src/trust/chain.ts";
import { ChainReader } from "../../src/trust/chain-reader.ts";
import { joinKeyPairs } from "../../src/trust/join-key.ts";
import { signStatement } from "../../src/trust/statement.ts";
import { accept, joinBody, joinKeyBody, machine, makeTailnet, NOW_MS, seededRandom } from "./fixture.ts";

/** A chain of `length` join keys on top of genesis and pool. */
function longChain(length: number): Chain {
  const { chain, signer } = makeTailnet();
  for (let i = 0; i < length; i++) {
    const pairs = joinKeyPairs(seededRandom(`key ${i}`)(16));
    accept(chain, chain.sign(joinKeyBody(pairs), NOW_MS + i, signer));
  }
  return chain;
}

function read(list: readonly Uint8Array[], genesis: Uint8Array): ChainReader {
  const reader = new ChainReader(Chain.fromGenesis(genesis)!.tailnetId);
  for (const bytes of list) reader.offer(bytes);
  return reader;
}

describe("chain reader", () => {
  const whole = longChain(6);
  const genesis = whole.statements[0]!;

  test("reads a list in order, with junk, repetitions and the genesis again in between", () => {
    const list = whole.statements.flatMap((bytes) => [new Uint8Array(9), bytes, bytes, genesis]);
    expect(read(list, genesis).chain!.head).toEqual(whole.head);
  });

  test("the order of the list does not matter where each place has one statement", () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([...whole.statements], { minLength: whole.statements.length }), (list) => {
        expect(read(list, genesis).chain!.head).toEqual(whole.head);
      }),
      { seed: 3, numRuns: 30 },
    );
  });

  test("answers each statement once, in order", () => {
    const reader = new ChainReader(Chain.fromGenesis(genesis)!.tailnetId);
    const [, first, second, third] = whole.statements;
    expect(reader.offer(third!)).toEqual([]);
    expect(reader.offer(second!)).toEqual([]);
    expect(reader.offer(first!)).toEqual([]);
    expect(reader.offer(genesis).map(({ number }) => number)).toEqual([0, 1, 2, 3]);
    expect(reader.offer(first!)).toEqual([]);
  });

  test("of two siblings the first in list order that verifies is the next", () => {
    const { chain, signer, first } = makeTailnet();
    const siblings = ["a", "b"].map((name) =>
      chain.sign(joinBody(machine(name), "10.11.12.1", name), NOW_MS, signer, machine(name).machineKey),
    );
    const forged = siblings[0]!.slice();
    forged[forged.length - 1]! ^= 1;
    const start = chain.statements;
    for (const list of [
      [...start, siblings[1]!, siblings[0]!],
      [...start, forged, siblings[1]!, siblings[0]!],
      [siblings[1]!, siblings[0]!, ...start],
      [start[0]!, siblings[1]!, start[1]!, siblings[0]!],
    ]) {
      const names = [...read(list, start[0]!).chain!.state.members.values()].map(({ name }) => name);
      expect(names).toEqual(["b"]);
    }
    expect(first).toBeDefined();
  });

  test("the verdict does not depend on how far a reader had read", () => {
    const { chain, signer } = makeTailnet();
    const join = (name: string, head: Uint8Array[]) => {
      const own = Chain.fromGenesis(head[0]!)!;
      for (const bytes of head.slice(1)) own.append(bytes);
      return own.sign(
        joinBody(machine(name), `10.11.12.${own.head.number}`, name),
        NOW_MS,
        signer,
        machine(name).machineKey,
      );
    };
    const start = [...chain.statements];
    const a = join("a", start);
    const b = join("b", start);
    const candidates = [a, b, join("c", [...start, a]), join("d", [...start, b]), start[1]!, join("e", [...start, a])];
    fc.assert(
      fc.property(fc.shuffledSubarray(candidates, { minLength: candidates.length }), (list) => {
        const expected = naiveRead(list, start[0]!);
        expect(formatHex(read([start[0]!, ...list], start[0]!).chain!.head.hash)).toBe(expected);
      }),
      { seed: 29, numRuns: 60 },
    );
  });

  test("begins with the tailnet's own genesis and no other", () => {
    const reader = new ChainReader(whole.tailnetId);
    const reasons: string[] = [];
    const other = makeTailnet("other").chain.statements[0]!;
    expect(reader.offer(other, (reason) => reasons.push(reason))).toEqual([]);
    expect(reasons).toEqual(["other-tailnet"]);
    expect(reader.chain).toBeUndefined();
    expect(reader.offer(genesis)).toHaveLength(1);
  });

  test("stops at a signer's statement of a later version, and says where", () => {
    const { chain, signer } = makeTailnet();
    const later = signStatement({
      tailnetId: chain.tailnetId,
      head: chain.head,
      timeMs: NOW_MS,
      body: { kind: "unknown", kindNumber: 99, bytes: new Uint8Array(3) } as never,
      author: signer,
    });
    const sibling = chain.sign(joinBody(machine("a"), "10.11.12.1", "a"), NOW_MS, signer, machine("a").machineKey);
    for (const list of [
      [...chain.statements, later, sibling],
      [later, sibling, ...chain.statements],
    ]) {
      const reader = read(list, chain.statements[0]!);
      expect(reader.stoppedAt).toBe(2);
      expect(reader.chain!.head.number).toBe(1);
    }
  });

  test("what stands absurdly far ahead is not kept", () => {
    const { chain, signer } = makeTailnet();
    const reader = new ChainReader(chain.tailnetId, Chain.fromGenesis(chain.statements[0]!)!);
    const far = signStatement({
      tailnetId: chain.tailnetId,
      head: { number: 1_000_000, hash: chain.head.hash },
      timeMs: NOW_MS,
      body: joinKeyBody(joinKeyPairs(seededRandom("far")(16))),
      author: signer,
    });
    const reasons: string[] = [];
    expect(reader.offer(far, (reason) => reasons.push(reason))).toEqual([]);
    expect(reasons).toEqual(["not-next"]);
  });
});

/** The rule as registry.md says it: again and again the first of the whole list that verifies on the head. */
function naiveRead(list: readonly Uint8Array[], genesis: Uint8Array): string {
  const chain = Chain.fromGenesis(genesis)!;
  while (list.some((bytes) => chain.append(bytes).outcome === "accepted"));
  return formatHex(chain.head.hash);
}
