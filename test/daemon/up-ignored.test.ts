/** Flags of `up` that come too late for what they would have chosen. */

import { expect, test } from "bun:test";
import { parsePrefix } from "../../src/base/ip.ts";
import { silentLog } from "../../src/base/log.ts";
import { tellIgnored } from "../../src/daemon/up.ts";

const NETWORK = { self: { name: "alpha" }, pool: [parsePrefix("10.11.12.0/24")!] };

function told(name: string | undefined, pool: string | undefined): string[] {
  const warnings: string[] = [];
  tellIgnored(NETWORK, { name, pool }, { ...silentLog, warn: (message) => warnings.push(message) });
  return warnings;
}

test("what agrees, or was not given, is not worth a word", () => {
  for (const name of [undefined, "alpha", "ALPHA", "alpha.example.org"]) {
    for (const pool of [undefined, "10.11.12.0/24", "10.11.12.9/24"]) expect(told(name, pool)).toEqual([]);
  }
});

test("another name, another pool", () => {
  expect(told("Beta", undefined)).toEqual([
    "this machine is called alpha, not beta; minitail node rename alpha beta changes that",
  ]);
  expect(told(undefined, "10.20.0.0/24")).toEqual([
    "the network's addresses are 10.11.12.0/24: --pool is for a new network",
  ]);
});
