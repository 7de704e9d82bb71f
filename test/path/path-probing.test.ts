import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { PathProbing, type PathProbingResult, probeSizes } from "../../src/path/path-probing.ts";

describe("the ladder", () => {
  test.each([
    [1280, [1280, 1264, 1248, 1232, 1216, 1200, 1024, 896, 576]],
    // What the kernel knows of a path of 1280 bytes.
    [1216, [1216, 1200, 1024, 896, 576]],
    [576, [576]],
  ])("to %d", (fullBytes, sizes) => expect(probeSizes(fullBytes)).toEqual(sizes));

  test("has every size that WireGuard's padding leaves, from an IPv6 path of 1280 bytes to the MTU of wg", () => {
    const padded = Array.from({ length: 1420 - 1200 + 1 }, (_, i) => 1200 + i).filter((size) => size % 16 === 0);
    expect(probeSizes(1420).filter((size) => size >= 1200)).toEqual([1420, ...padded.toReversed()]);
  });

  test("falls from the full size, of an MTU of any size, in few steps", () => {
    fc.assert(
      fc.property(fc.integer({ min: 576, max: 65_535 }), (fullBytes) => {
        const sizes = probeSizes(fullBytes);
        expect(sizes[0]).toBe(fullBytes);
        expect(sizes).toEqual([...new Set(sizes)].sort((a, b) => b - a));
        expect(sizes.length).toBeLessThan(33);
        expect(sizes.at(-1)).toBe(576);
        for (const size of sizes.slice(1)) expect(size % 16 === 0).toBe(true);
      }),
    );
  });
});

/** Probes a path on which `passes` says of each packet whether it is answered, within its round. */
function probe(probing: PathProbing, passes: (sizeBytes: number) => boolean) {
  let sizes: readonly number[] = [probing.firstBytes];
  let sent = 0;
  for (let rounds = 1; ; rounds++) {
    sent += sizes.length;
    for (const size of sizes) {
      const result = passes(size) && probing.handleAnswer(size);
      if (result) return { result, rounds, sent };
    }
    const next = probing.handleRoundEnd();
    if ("type" in next) return { result: next, rounds, sent };
    sizes = next;
  }
}

/** What a path that takes packets of `pathBytes` is, by trying one size after the other. */
function naiveResult(fullBytes: number, pathBytes: number): PathProbingResult {
  for (const size of probeSizes(fullBytes)) {
    if (size > pathBytes) continue;
    return size === fullBytes ? { type: "wide" } : { type: "narrow", limitBytes: size };
  }
  return { type: "silent" };
}

describe("a path", () => {
  const full = fc.integer({ min: 576, max: 9000 });
  const path = fc.integer({ min: 500, max: 9100 });

  test("that loses nothing but what is too large is found as it is", () => {
    fc.assert(
      fc.property(full, path, (fullBytes, pathBytes) => {
        const probing = new PathProbing(fullBytes, fullBytes);
        expect(probe(probing, (size) => size <= pathBytes).result).toEqual(naiveResult(fullBytes, pathBytes));
      }),
    );
  });

  test("that loses others as well is never thought wider than it is", () => {
    fc.assert(
      fc.property(full, path, fc.infiniteStream(fc.boolean()), (fullBytes, pathBytes, luck) => {
        const passes = (size: number) => size <= pathBytes && luck.next().value;
        const { result } = probe(new PathProbing(fullBytes, fullBytes), passes);
        if (result.type === "wide") expect(pathBytes).toBeGreaterThanOrEqual(fullBytes);
        if (result.type === "narrow") expect(result.limitBytes).toBeLessThanOrEqual(pathBytes);
      }),
    );
  });

  test("that takes all is one packet's work", () => {
    expect(probe(new PathProbing(1420, 1420), () => true)).toEqual({ result: { type: "wide" }, rounds: 1, sent: 1 });
  });

  test("that is plainly narrow is known after one ladder", () => {
    const { result, rounds } = probe(new PathProbing(1420, 1420), (size) => size <= 1328);
    expect(result).toEqual({ type: "narrow", limitBytes: 1328 });
    expect(rounds).toBe(2);
  });

  test.each([
    ["by a step or two", (size: number) => size <= 1392],
    ["by chance, as it seems", (size: number) => size <= 1328 && size !== 1216],
  ])("that is narrow %s is asked three times", (_, passes) => {
    const { result, rounds } = probe(new PathProbing(1420, 1420), passes);
    expect(result.type).toBe("narrow");
    expect(rounds).toBe(4);
  });

  test("that lets one packet of the full size through in the last round takes all", () => {
    let tried = 0;
    const { result } = probe(new PathProbing(1420, 1420), (size) => size < 1400 || (size === 1420 && ++tried === 4));
    expect(result).toEqual({ type: "wide" });
  });

  test("from which nothing comes back, at first or later, is not thought narrow", () => {
    expect(probe(new PathProbing(1420, 1420), () => false)).toEqual({
      result: { type: "silent" },
      rounds: 2,
      sent: 19,
    });
    let left = 5;
    expect(probe(new PathProbing(1420, 1420), (size) => size < 1400 && left-- > 0).result).toEqual({ type: "silent" });
  });

  test("to a peer that answers few pings a second is found: the largest that arrive come first", () => {
    let answered = 0;
    const answersFive = (size: number) => {
      if (size === 1420) answered = 0;
      return size <= 1328 && answered++ < 5;
    };
    const { result } = probe(new PathProbing(1420, 1420), answersFive);
    expect(result).toEqual({ type: "narrow", limitBytes: 1328 });
  });

  test("that is slower than a round still counts", () => {
    const probing = new PathProbing(1420, 1420);
    probing.handleRoundEnd();
    expect(probing.handleAnswer(1420)).toEqual({ type: "wide" });
  });
});

describe("a limit that was found before", () => {
  test("is one packet's work where it holds", () => {
    const { result, sent } = probe(new PathProbing(1420, 1312), (size) => size <= 1312);
    expect(result).toEqual({ type: "narrow", limitBytes: 1312 });
    expect(sent).toBe(1);
  });

  test("falls where the path is narrower than it", () => {
    const { result } = probe(new PathProbing(1420, 1312), (size) => size <= 1250);
    expect(result).toEqual({ type: "narrow", limitBytes: 1248 });
  });

  test("is none where the full size turns out to pass", () => {
    let tried = 0;
    expect(probe(new PathProbing(1420, 1312), () => tried++ > 0).result).toEqual({ type: "wide" });
  });
});

/** How likely loss is to make a wide path narrow, by a thousand tries with the same chances each. */
test.each([
  [0.1, 5],
  [0.3, 80],
])("a share of %d lost each way makes at most %d of 1000 wide paths narrow, and those by little", (share, most) => {
  let seed = 1;
  const random = () => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return (seed >>> 8) / 2 ** 24;
  };
  const results = Array.from({ length: 1000 }, () =>
    probe(new PathProbing(1420, 1420), () => random() > share && random() > share),
  ).map(({ result }) => result);
  const limits = results.flatMap((result) => (result.type === "narrow" ? [result.limitBytes] : []));
  expect(limits.length).toBeLessThanOrEqual(most);
  for (const limit of limits) expect(limit).toBeGreaterThanOrEqual(1344);
});
