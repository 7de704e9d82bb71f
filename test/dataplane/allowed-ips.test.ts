import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { hostPrefix, type IpPrefix, maskPrefix, parseAddress, parsePrefix } from "../../src/base/ip.ts";
import { AllowedIpsReader, AllowedIpsWriter } from "../../src/dataplane/allowed-ips.ts";
import { SharedTables } from "../../src/dataplane/shared-tables.ts";
import { NaiveAllowedIps } from "../naive/allowed-ips.ts";

function makeTrie() {
  const tables = new SharedTables();
  const reader = new AllowedIpsReader(tables.words);
  return {
    writer: new AllowedIpsWriter(tables.words),
    lookup: (address: Uint8Array) => reader.lookup(address, 0, address.length as 4 | 16),
  };
}

const prefix = (text: string): IpPrefix => parsePrefix(text)!;
const address = (text: string) => parseAddress(text)!;

describe("allowed IPs", () => {
  test("the longest prefix wins, in each family by itself", () => {
    const { writer, lookup } = makeTrie();
    const entries: [string, number][] = [
      ["0.0.0.0/0", 0],
      ["10.0.0.0/8", 1],
      ["10.1.0.0/16", 2],
      ["10.1.2.3/32", 3],
      ["::/0", 4],
      ["2001:db8::/32", 5],
      ["2001:db8::7/128", 6],
    ];
    for (const [text, slot] of entries) expect(writer.set(prefix(text), slot)).toBe(true);
    const cases: [string, number][] = [
      ["192.0.2.1", 0],
      ["10.2.0.1", 1],
      ["10.1.2.4", 2],
      ["10.1.2.3", 3],
      ["2001:db9::", 4],
      ["2001:db8::8", 5],
      ["2001:db8::7", 6],
    ];
    for (const [text, slot] of cases) expect([text, lookup(address(text))]).toEqual([text, slot]);
    writer.remove(prefix("10.1.2.3/32"));
    expect(lookup(address("10.1.2.3"))).toBe(2);
    writer.remove(prefix("0.0.0.0/0"));
    expect(lookup(address("192.0.2.1"))).toBe(-1);
    writer.set(prefix("10.1.0.0/16"), 9);
    expect(lookup(address("10.1.2.3"))).toBe(9);
  });

  test("agrees with the naive router through any order of changes", () => {
    // Few distinct bits, so that prefixes nest, meet and leave branches behind.
    const someAddress = fc.oneof(
      fc.array(fc.constantFrom(0, 1, 128, 255), { minLength: 4, maxLength: 4 }),
      fc.array(fc.constantFrom(0, 128, 255), { minLength: 16, maxLength: 16 }),
    );
    const change = fc.record({
      bytes: someAddress,
      share: fc.double({ min: 0, max: 1, noNaN: true }),
      slot: fc.integer({ min: 0, max: 9 }),
      remove: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60 }), fc.array(someAddress, { maxLength: 40 }), (changes, lookups) => {
        const { writer, lookup } = makeTrie();
        const naive = new NaiveAllowedIps();
        for (const { bytes, share, slot, remove } of changes) {
          const lengthBits = Math.round(share * bytes.length * 8);
          const changed = maskPrefix({ address: new Uint8Array(bytes), lengthBits });
          if (remove) {
            writer.remove(changed);
            naive.remove(changed);
          } else {
            writer.set(changed, slot);
            naive.set(changed, slot);
          }
          expect(lookup(changed.address)).toBe(naive.lookup(changed.address));
        }
        for (const bytes of lookups) expect(lookup(new Uint8Array(bytes))).toBe(naive.lookup(new Uint8Array(bytes)));
      }),
      { seed: 20261121, numRuns: 400 },
    );
  }, 30_000);

  test("65,000 prefixes, added and removed, leave nothing behind", () => {
    const { writer, lookup } = makeTrie();
    const prefixes = Array.from({ length: 65_000 }, (_, i) =>
      hostPrefix(new Uint8Array([10, i >> 16, (i >> 8) & 255, i & 255])),
    );
    for (const [i, entry] of prefixes.entries()) expect(writer.set(entry, i % 500)).toBe(true);
    expect(lookup(prefixes[64_999]!.address)).toBe(64_999 % 500);
    for (const entry of prefixes) writer.remove(entry);
    for (const entry of prefixes) expect(lookup(entry.address)).toBe(-1);
  });
});
