import { describe, expect, test } from "bun:test";
import { parseReceivedBytes, requireCarried } from "../../scripts/bench/interface-bytes.ts";
import { gbitPerSecondOf, parseIperf, parsePing, parseSockperf } from "../../scripts/bench/judges.ts";
import { type Measurement, type Medians, mediansOf, ratiosTo } from "../../scripts/bench/measurement.ts";
import { parseOptions } from "../../scripts/bench/options.ts";
import { median } from "../../scripts/bench/statistics.ts";
import { formatTables } from "../../scripts/bench/table.ts";
import { judgeTargets } from "../../scripts/bench/targets.ts";
import type { TwoHosts } from "../../scripts/bench/two-hosts.ts";
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
        medians: { ...medians, tcpOneStreamGbitPerSecond: 6, interfaceReadyMs: 90 },
        ratios: { tcpOneStreamGbitPerSecond: 1.5 },
      },
      { name: "theirs", medians, ratios: undefined },
    ];
    const [transfers = "", datagrams = "", others = ""] = formatTables(rows, "theirs").split("\n\n");
    for (const table of [transfers, datagrams, others]) {
      const lines = table.split("\n");
      expect(new Set(lines.map((line) => line.length)).size).toBe(1);
    }
    expect(transfers.split("\n")).toHaveLength(6);
    // No ratio in these tables, so no row for it.
    expect(datagrams.split("\n")).toHaveLength(5);
    expect(others.split("\n")).toHaveLength(5);
    expect(transfers).toMatch(/\| ours +\| +6\.00 \| +4\.00 \|/);
    expect(transfers).toMatch(/\| ours \/ theirs \| +1\.50x \|/);
    expect(transfers).not.toContain("theirs / theirs");
    // What one rival has not is empty, what none has is left out.
    expect(others).toMatch(/\| theirs +\| +\|\n/);
    expect(others).not.toContain("RSS");
  });

  test("figures that nobody was asked for make no table", () => {
    const rows = [{ name: "ours", medians: { pingIdleMs: 0.1 }, ratios: undefined }];
    const tables = formatTables(rows, "theirs");
    expect(tables).toContain("ping idle");
    expect(tables).not.toContain("TCP");
    expect(tables.split("\n")).toHaveLength(4);
  });
});

describe("targets", () => {
  const roles = {
    own: "ours",
    reference: "go",
    toStock: "ours-to-go",
    fromStock: "go-to-ours",
    others: ["go", "rust"],
  };
  const judge = (medians: Readonly<Record<string, Medians>>) => {
    const results = Object.entries(medians).map(([name, figures]) => ({ name, medians: figures }));
    return judgeTargets(results, roles).map(({ title, value, reached }) => [title, value, reached]);
  };

  test.each([
    [8, "goal"],
    [6.4, "floor"],
    [6.3, "neither"],
  ] as const)("%p Gbit/s beside 4 reach %p", (tcpOneStreamGbitPerSecond, reached) => {
    const judged = judge({ ours: { tcpOneStreamGbitPerSecond }, go: { tcpOneStreamGbitPerSecond: 4 } });
    expect(judged).toEqual([["TCP 1 stream / wireguard-go", tcpOneStreamGbitPerSecond / 4, reached]]);
  });

  test("the best rival is the best of each figure, and no rival is minitail", () => {
    const judged = judge({
      ours: { udpReceivedGbitPerSecond: 3, pingIdleMs: 0.2 },
      "ours-to-go": { udpReceivedGbitPerSecond: 9, pingIdleMs: 0.01 },
      go: { udpReceivedGbitPerSecond: 1, pingIdleMs: 0.25 },
      rust: { udpReceivedGbitPerSecond: 2, pingIdleMs: 0.1 },
    });
    expect(judged).toEqual([
      ["UDP received / best rival", 1.5, "goal"],
      ["ping idle / wireguard-go", 0.8, "floor"],
      ["ping idle / best rival", 2, "neither"],
    ]);
  });

  test("either way to a stock peer is held against stock peers between themselves", () => {
    const judged = judge({
      "ours-to-go": { tcpOneStreamGbitPerSecond: 6 },
      "go-to-ours": { tcpOneStreamGbitPerSecond: 4 },
      go: { tcpOneStreamGbitPerSecond: 4 },
    });
    expect(judged).toEqual([
      ["TCP to wireguard-go / wireguard-go", 1.5, "goal"],
      ["TCP from wireguard-go / wireguard-go", 1, "neither"],
    ]);
  });

  test("what is a figure of its own needs no rival", () => {
    expect(judge({ ours: { pingLoadedMs: 0.75 } })).toEqual([["ping loaded ms", 0.75, "floor"]]);
  });
});

describe("what judges print", () => {
  test("a transfer both ways counts both ways", () => {
    const report = {
      end: {
        sum_sent: { seconds: 2, bytes: 9e9, retransmits: 7 },
        sum_received: { seconds: 2, bytes: 5e8 },
        sum_received_bidir_reverse: { seconds: 2, bytes: 2.5e8 },
      },
    };
    const summary = parseIperf(JSON.stringify(report));
    expect(summary).toEqual({ seconds: 2, receivedBytes: 7.5e8, sentBytes: 9e9, retransmissions: 7 });
    expect(gbitPerSecondOf(summary.receivedBytes, summary.seconds)).toBe(3);
  });

  test("a transfer of datagrams loses some", () => {
    const report = {
      end: {
        sum_sent: { seconds: 5, bytes: 2e9, lost_percent: 0 },
        sum_received: { seconds: 5, bytes: 1.5e9, lost_percent: 25 },
      },
    };
    expect(parseIperf(JSON.stringify(report))).toEqual({
      seconds: 5,
      receivedBytes: 1.5e9,
      sentBytes: 2e9,
      lostPercent: 25,
    });
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

  test("answers of sockperf", () => {
    const total = "RunTime=1.250 sec; Warm up time=400 msec; SentMessages=75720; ReceivedMessages=75718";
    const output = `sockperf: Test ended\nsockperf: [Total Run] ${total}\nsockperf: No valid observations found.\n`;
    expect(parseSockperf(output)).toEqual({ seconds: 1.25, replies: 75718 });
    expect(() => parseSockperf("sockperf: ERROR: Can't connect")).toThrow("Can't connect");
  });
});

describe("what interfaces counted", () => {
  const report = (bytes: number) => JSON.stringify([{ ifname: "x", stats64: { rx: { bytes }, tx: { bytes: 1 } } }]);

  test("is read from ip's report", () => {
    expect(parseReceivedBytes(report(70_000))).toBe(70_000);
    expect(() => parseReceivedBytes("[]")).toThrow("no counters");
  });

  /** Hosts of which each has received as much on the cable and in the tunnel when the action is over. */
  function hostsThatReceive(bytesOfInterface: Readonly<Record<string, number>>) {
    let isOver = false;
    const lab = {
      output: async (argv: readonly string[]) => report(isOver ? (bytesOfInterface[argv.at(-1)!] ?? 0) : 0),
    };
    const hosts = { left: { lab }, right: { lab } } as unknown as TwoHosts;
    const finish = () => {
      isOver = true;
    };
    return { hosts, finish };
  }

  test.each([
    ["both carried it", { cable: 600, tunnel0: 500 }, true],
    ["the tunnel was passed by", { cable: 600, tunnel0: 400 }, false],
    ["the cable was passed by", { cable: 10, tunnel0: 500 }, false],
  ] as const)("%s", async (_, bytesOfInterface, isAccepted) => {
    const { hosts, finish } = hostsThatReceive(bytesOfInterface);
    const carried = requireCarried(
      hosts,
      { interfaceName: "tunnel0" },
      async () => finish(),
      () => 1000,
    );
    if (isAccepted) await carried;
    else await expect(carried).rejects.toThrow("1000 bytes are said to have been carried");
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
  const choices = { rivals: ["a", "b"], defaultRivals: ["a"], measures: ["tcp", "ping"] };
  const parse = (...argv: string[]) => parseOptions(argv, choices);

  test("defaults and given values", () => {
    expect(parse()).toEqual({
      rounds: 3,
      seconds: 5,
      rivals: ["a"],
      measures: ["tcp", "ping"],
      jsonPath: undefined,
      isPreparation: false,
    });
    const given = "--rounds 1 --seconds=2 --only b,a --measures ping --json - --prepare";
    expect(parse(...given.split(" "))).toEqual({
      rounds: 1,
      seconds: 2,
      rivals: ["b", "a"],
      measures: ["ping"],
      jsonPath: "-",
      isPreparation: true,
    });
  });

  test.each([
    "--rounds 0",
    "--rounds 1.5",
    "--seconds",
    "--only c",
    "--only a,",
    "--measures tcp,speed",
    "--what",
    "more",
  ])("refuses %p", (line) => {
    expect(() => parse(...line.split(" "))).toThrow();
  });
});
