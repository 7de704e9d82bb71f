/** What a daemon does where its interface loses addresses and routes, or is set down. */

import { expect, test } from "bun:test";
import type { Log } from "../../src/base/log.ts";
import { InterfaceUpkeep } from "../../src/daemon/interface-upkeep.ts";
import type { Configuration } from "../../src/host/interface-configuration.ts";
import { TestClock } from "./test-clock.ts";

const COMPLETE: Configuration = { ipv6: true, added: [], failure: undefined };
const LACKING: Configuration = { ...COMPLETE, added: ["10.11.12.1"] };
const MINUTE_MS = 60_000;

function scene() {
  const clock = new TestClock();
  const warnings: string[] = [];
  const log: Log = { debug() {}, info() {}, warn: (text) => warnings.push(text), error() {} };
  const kernel = { tried: 0, next: COMPLETE as Configuration | "down" | "gone" };
  const upkeep = new InterfaceUpkeep({
    wanted: { name: "none0", mtuBytes: 1280, addresses: [], routes: [] },
    ipv6: true,
    restore() {
      kernel.tried++;
      return kernel.next;
    },
    clock,
    log,
  });
  const codes = () => upkeep.health().map(({ code }) => code);
  return { clock, warnings, kernel, upkeep, codes };
}

test("what is there is left alone, and what was put back is said once", async () => {
  const { clock, warnings, kernel, upkeep, codes } = scene();
  upkeep.handleNetworkChange();
  expect(warnings).toEqual([]);
  kernel.next = LACKING;
  upkeep.handleNetworkChange();
  kernel.next = COMPLETE;
  // Our own change is told as well.
  upkeep.handleNetworkChange();
  await clock.advance(10 * MINUTE_MS);
  expect(warnings).toEqual(["none0 had lost what is put back: 10.11.12.1"]);
  expect(codes()).toEqual([]);
  upkeep.stop();
});

test("a program that takes it away each time is not raced, is said, and is forgotten when it ended", async () => {
  const { clock, warnings, kernel, upkeep, codes } = scene();
  kernel.next = LACKING;
  for (let i = 0; i < 100; i++) {
    upkeep.handleNetworkChange();
    await clock.advance(100);
  }
  // After 1, 2, 4 and 8 s.
  expect(kernel.tried).toBe(4);
  expect(codes()).toEqual([]);
  await clock.advance(10 * MINUTE_MS);
  expect(kernel.tried).toBeLessThan(20);
  expect(codes()).toEqual(["interface-contested"]);
  expect(warnings).toHaveLength(2);
  kernel.next = COMPLETE;
  await clock.advance(3 * MINUTE_MS);
  expect(codes()).toEqual([]);
  kernel.next = LACKING;
  upkeep.handleNetworkChange();
  expect(warnings).toHaveLength(3);
  upkeep.stop();
});

test("an interface that was set down is not fought over, and is whole again when it is up", async () => {
  const { clock, warnings, kernel, upkeep, codes } = scene();
  kernel.next = "down";
  upkeep.handleNetworkChange();
  upkeep.handleNetworkChange();
  expect(codes()).toEqual(["interface-down"]);
  expect(upkeep.health()[0]!.hint).toContain("ip link set none0 up");
  expect(warnings).toHaveLength(1);
  kernel.next = LACKING;
  upkeep.handleNetworkChange();
  expect(codes()).toEqual([]);
  kernel.next = "gone";
  await clock.advance(MINUTE_MS);
  expect(codes()).toEqual([]);
  upkeep.stop();
});

test("IPv6 that is switched off while it runs, and on again", () => {
  const { kernel, upkeep, codes } = scene();
  kernel.next = { ...COMPLETE, ipv6: false };
  upkeep.handleNetworkChange();
  expect(codes()).toEqual(["ipv6-off"]);
  kernel.next = COMPLETE;
  upkeep.handleNetworkChange();
  expect(codes()).toEqual([]);
});
