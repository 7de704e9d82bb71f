import { describe, expect, test } from "bun:test";
import { gbitPerSecondOf, parseIperf, parsePing } from "../../scripts/bench/judges.ts";
import { type Measurement, mediansOf, ratiosTo } from "../../scripts/bench/measurement.ts";
import { parseOptions } from "../../scripts/bench/options.ts";
import { median } from "../../scripts/bench/statistics.ts";
import { formatTables } from "../../scripts/bench/table.ts";
import { isAtLeast } from "../../scripts/bench/version.ts";

const ROUND: Measurement = {
  tcpOneStreamGbitPerSecond: 4,
  tcpFourStreamsGbitPerSecond: 4,
  tcpBothWaysGbitPerSecond: 4,
  cpuSecondsPerGbit: 0.5,
  udpReceivedGbitPerSecond: 1,
  pingIdleMs: 0.2,
  pingLoadedMs: 3,
};

test.each([
  [[], undefined],
  [[3], 3],
  [[9, 1, 2], 2],
  [[10, 2, 1, 9], 5.5],
] as const)("the median of %p is %p", (values, expected) => {
  expect(median(values)).toBe(expected);
});

describe("results", () => {
  test("medians are over the rounds that have the figure", () => {
    const { cpuSecondsPerGbit: _, ...without } = ROUND;
    const medians = mediansOf([
      ROUND,
      { ...without, tcpOneStreamGbitPerSecond: 6 },
      { ...ROUND, cpuSecondsPerGbit: 0.7 },
    ]);
    expect(medians.tcpOneStreamGbitPerSecond).toBe(4);
    expect(medians.cpuSecondsPerGbit).toBe(0.6);
    expect(medians.residentIdleMiB).toBeUndefined();
  });

  test("ratios are multiples of the reference, for figures that both have", () => {
    const ratios = ratiosTo(mediansOf([ROUND]), { tcpOneStreamGbitPerSecond: 6, residentIdleMiB: 30 });
    expect(ratios).toEqual({ tcpOneStreamGbitPerSecond: 1.5 });
  });

  test("the tables align, with a row of ratios for all but the reference", () => {
    const medians = mediansOf([ROUND]);
    const rows = [
      {
        name: "ours",
        medians: { ...medians, tcpOneStreamGbitPerSecond: 6 },
        ratios: { tcpOneStreamGbitPerSecond: 1.5 },
      },
      { name: "theirs", medians, ratios: undefined },
    ];
    const [transfers = "", others = ""] = formatTables(rows, "theirs").split("\n\n");
    for (const table of [transfers, others]) {
      const lines = table.split("\n");
      expect(new Set(lines.map((line) => line.length)).size).toBe(1);
    }
    expect(transfers.split("\n")).toHaveLength(6);
    // No ratio in the second table, so no row for it.
    expect(others.split("\n")).toHaveLength(5);
    expect(transfers).toMatch(/\| ours +\| +6\.00 \| +4\.00 \|/);
    expect(transfers).toMatch(/\| ours \/ theirs \| +1\.50x \|/);
    expect(transfers).not.toContain("theirs / theirs");
  });
});

describe("what judges print", () => {
  test("a transfer both ways counts both ways", () => {
    const report = {
      end: {
        sum_sent: { seconds: 2, bytes: 9e9 },
        sum_received: { seconds: 2, bytes: 5e8 },
        sum_received_bidir_reverse: { seconds: 2, bytes: 2.5e8 },
      },
    };
    expect(gbitPerSecondOf(parseIperf(JSON.stringify(report)))).toBe(3);
  });

  test("iperf3's own error is an error", () => {
    expect(() => parseIperf('{"start":{},"error":"unable to connect"}')).toThrow("iperf3: unable to connect");
    expect(() => parseIperf('{"end":{}}')).toThrow("no sum");
  });

  test("round trips of ping, lost ones left out", () => {
    const output =
      "64 bytes from 10.77.0.2: icmp_seq=1 ttl=64 time=0.215 ms\nno answer\n64 bytes: icmp_seq=3 ttl=64 time=12 ms\n";
    expect(parsePing(output)).toEqual([0.215, 12]);
  });
});

test.each([
  ["1.19.8", "1.23.1", false],
  ["1.26.8", "1.23.1", true],
  ["1.23.1", "1.23.1", true],
  ["1.23", "1.23.1", false],
  ["1.9", "1.21", false],
] as const)("Go %s is at least %s: %p", (own, needed, expected) => {
  expect(isAtLeast(own, needed)).toBe(expected);
});

describe("options", () => {
  const parse = (...argv: string[]) => parseOptions(argv, ["a", "b"], ["a"]);

  test("defaults and given values", () => {
    expect(parse()).toEqual({ rounds: 3, seconds: 5, rivals: ["a"], jsonPath: undefined });
    expect(parse("--rounds", "1", "--seconds=2", "--rivals", "b,a", "--json", "x")).toEqual({
      rounds: 1,
      seconds: 2,
      rivals: ["b", "a"],
      jsonPath: "x",
    });
  });

  test.each(["--rounds 0", "--rounds 1.5", "--seconds", "--rivals c", "--what", "more"])("refuses %p", (line) => {
    expect(() => parse(...line.split(" "))).toThrow();
  });
});
