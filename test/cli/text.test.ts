/** What people read: tables, status, pongs, logs, counts. */

import { describe, expect, test } from "bun:test";
import { formatLatency, formatPong } from "../../src/cli/commands/ping.ts";
import { createLog, type LogDetail } from "../../src/cli/log.ts";
import { allowsColour, formatTable } from "../../src/cli/output.ts";
import { formatBytes, formatStatus } from "../../src/cli/status-text.ts";
import { formatTestCounts, parseTestCounts } from "../../src/cli/test-counts.ts";
import type { NodeStatus, Status } from "../../src/daemon/api.ts";

describe("tables", () => {
  test("columns are aligned, and lines end without spaces", () => {
    expect(formatTable([["a", "bb", ""], ["ccc", "d", "e"], ["f"]])).toEqual(["a    bb", "ccc  d   e", "f"]);
  });

  test("colours take no room", () => {
    expect(
      formatTable([
        ["\u001b[1ma\u001b[0m", "b"],
        ["cc", "d"],
      ])[0],
    ).toBe("\u001b[1ma\u001b[0m   b");
  });

  test("nothing", () => expect(formatTable([])).toEqual([]));
});

describe("colour", () => {
  test.each([
    [{}, true],
    [{ NO_COLOR: "" }, true],
    [{ NO_COLOR: "1" }, false],
    [{ NO_COLOR: "0" }, false],
    [{ TERM: "dumb" }, false],
  ])("%p: %p", (environment, allowed) => expect(allowsColour(environment)).toBe(allowed));
});

describe("pongs", () => {
  const peer = { name: "b", address: "10.11.12.2" };

  test("direct", () => {
    const path = { kind: "direct", address: "192.0.2.7:7411", relay: null, latencyMs: 1, mtu: null } as const;
    expect(formatPong({ peer, path, latencyMs: 1.21 }, 1.21)).toBe(
      "pong from b (10.11.12.2) via 192.0.2.7:7411 in 1.2 ms",
    );
  });

  test("by a relay", () => {
    const path = { kind: "relay", address: null, relay: "c", latencyMs: 9, mtu: null } as const;
    expect(formatPong({ peer, path, latencyMs: 9 }, 9)).toBe("pong from b (10.11.12.2) via relay c in 9 ms");
  });

  test.each([
    [0.1437, "0.14 ms"],
    [1.26, "1.3 ms"],
    [9, "9 ms"],
    [12.6, "13 ms"],
    [1234, "1234 ms"],
  ])("%d: %s", (latencyMs, text) => expect(formatLatency(latencyMs)).toBe(text));
});

describe("status", () => {
  const nowMs = Date.parse("2026-09-01T12:00:10Z");
  const node = (name: string, address: string): NodeStatus => ({
    id: `id-${name}`,
    name,
    dnsName: `${name}.t.mesh`,
    addresses: [address],
    nodeKey: "",
    tags: [],
    user: "",
    online: null,
    lastSeenAt: null,
    endpoints: [],
    path: { kind: "none", address: null, relay: null, latencyMs: null, mtu: null },
    txBytes: 0,
    rxBytes: 0,
    lastHandshakeAt: null,
    allowedIPs: [],
    routes: [],
    exitNode: false,
    exitNodeOption: false,
    keyExpiresAt: null,
  });
  const status: Status = {
    version: "0.1.0",
    state: "running",
    tailnet: { id: "abc", name: "home", pool: ["10.11.12.0/24"], suffix: "mesh" },
    self: node("a", "10.11.12.1"),
    peers: [
      node("b", "10.11.12.2"),
      {
        ...node("laptop", "10.11.12.3"),
        path: { kind: "direct", address: "192.0.2.7:7411", relay: null, latencyMs: 1, mtu: null },
        txBytes: 1536,
        rxBytes: 100,
        lastHandshakeAt: "2026-09-01T12:00:05Z",
      },
    ],
    registry: { url: "https://r", connected: true, lastSyncAt: "2026-09-01T11:59:10Z", commandsSent: 3 },
    dataplane: {
      aead: "sodium",
      sealMicroseconds: 1.861,
      openMicroseconds: 1.57,
      offloads: ["udp-gso"],
      offloadsOff: [
        { offload: "udp-gro", peer: null, reason: "not wanted" },
        { offload: "udp-gso", peer: "laptop", reason: "the kernel refused it" },
      ],
      mtu: 1280,
    },
    approval: null,
    health: [{ code: "x", message: "the clock is off", hint: "set it" }],
  };

  test("everything", () => {
    expect(formatStatus(status, nowMs, (_style, text) => text)).toEqual([
      "state     running, minitail 0.1.0",
      "tailnet   home, 10.11.12.0/24",
      "registry  https://r, connected, news 1m ago",
      "packets   sodium 1.86 µs a packet, MTU 1280, udp-gso",
      "          udp-gro off: not wanted",
      "          udp-gso off for laptop: the kernel refused it",
      "",
      "10.11.12.1  a       this machine",
      "10.11.12.2  b       idle                   sent 0 B, received 0 B        never seen",
      "10.11.12.3  laptop  direct 192.0.2.7:7411  sent 1.5 KiB, received 100 B  seen 5s ago",
      "",
      "! the clock is off; set it",
    ]);
  });

  test("a daemon that starts", () => {
    const starting = { ...status, state: "starting", tailnet: null, self: null, peers: [], registry: null } as const;
    const lines = formatStatus({ ...starting, dataplane: null, health: [] }, nowMs, (_style, text) => text);
    expect(lines).toEqual(["state  starting, minitail 0.1.0"]);
  });

  test("a machine that waits to be let in", () => {
    const approval = { code: "abcd-efgh-ijkl-mnop", nodeId: "nabc", expiresAt: "2026-09-01T12:10:00Z" };
    const waiting = {
      ...status,
      state: "needs-approval",
      tailnet: null,
      self: null,
      peers: [],
      registry: null,
    } as const;
    const lines = formatStatus({ ...waiting, dataplane: null, health: [], approval }, nowMs, (_style, text) => text);
    expect(lines).toEqual([
      "state         needs-approval, minitail 0.1.0",
      "to let it in  minitail node approve abcd-efgh-ijkl-mnop",
      "its id        nabc",
    ]);
  });

  test.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.0 KiB"],
    [1024 ** 3 * 2.25, "2.3 GiB"],
    [1024 ** 5, "1024.0 TiB"],
  ])("%d bytes: %s", (lengthBytes, text) => expect(formatBytes(lengthBytes)).toBe(text));
});

describe("the log", () => {
  const written = (detail: LogDetail) => {
    const lines: string[] = [];
    const log = createLog(detail, (line, level) => lines.push(`${level}|${line}`));
    log.debug("d");
    log.info("i %s");
    log.warn("w");
    log.error("e");
    return lines;
  };

  test.each<[LogDetail, string[]]>([
    ["silent", []],
    ["error", ["error|error: e"]],
    ["normal", ["info|i %s", "warn|warn: w", "error|error: e"]],
    ["debug", ["debug|debug: d", "info|i %s", "warn|warn: w", "error|error: e"]],
  ])("%s", (detail, lines) => expect(written(detail)).toEqual(lines));

  test("a message that repeats is written each time", () => {
    const lines: string[] = [];
    const log = createLog("normal", (line) => lines.push(line));
    for (let i = 0; i < 30; i++) log.info("again");
    expect(lines).toHaveLength(30);
  });
});

describe("counts of tests", () => {
  test.each([
    ["\n 12 pass\n 0 fail\n 40 expect() calls\nRan 12 tests across 3 files. [9.00ms]\n", { passed: 12, failed: 0 }],
    [" 1 pass\n 1 skip\n 2 fail\n 1 error\nRan", { passed: 1, failed: 3 }],
    ["a test prints\n 5 pass\n 0 fail\nand then\n 7 pass\n 1 fail\n", { passed: 7, failed: 1 }],
    ["panic: aborted\n", undefined],
  ])("%j", (report, counts) => expect(parseTestCounts(report)).toEqual(counts));

  test("in words", () => expect(formatTestCounts({ passed: 2, failed: 1 })).toBe("2 passed, 1 failed"));
});
