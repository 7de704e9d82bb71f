import { expect, test } from "bun:test";
import { offloadChoice } from "../../src/cli/data-plane-flag.ts";
import { valueProblem } from "../../src/cli/values.ts";
import { OFFLOADS, type Offload } from "../../src/daemon/options.ts";

test.each([
  [undefined, undefined],
  ["all", OFFLOADS],
  ["none", []],
  ["udp-gro,tun-tso,udp-gro", ["tun-tso", "udp-gro"]],
  ["none,udp-gso", ["udp-gso"]],
])("--offloads %p", (text, offloads) => {
  expect(offloadChoice(text)).toEqual(offloads as readonly Offload[] | undefined);
});

test.each([
  ["all", true],
  ["tun-tso,udp-gso", true],
  ["", false],
  ["tso", false],
  ["tun-tso,,udp-gso", false],
])("--offloads %p is a value: %p", (text, isOne) => {
  expect(valueProblem("OFFLOAD,..", text) === undefined).toBe(isOne);
});
