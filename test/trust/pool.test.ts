import { describe, expect, test } from "bun:test";
import { formatAddress, parseAddress, parsePrefix } from "../../src/base/ip.ts";
import { isPool, isPoolAddress, pickAddress } from "../../src/trust/pool.ts";

const prefixes = (...texts: string[]) => texts.map((text) => parsePrefix(text)!);

describe("pool", () => {
  test.each([
    [["10.11.12.0/24"], true],
    [["100.64.0.0/10"], true],
    [["10.0.0.0/8", "192.168.3.0/30"], true],
    [[], false],
    [["10.11.12.0/31"], false],
    [["10.11.12.1/32"], false],
    [["0.0.0.0/0"], false],
    [["127.0.0.0/16"], false],
    [["169.254.0.0/24"], false],
    [["224.0.0.0/8"], false],
    [["240.0.0.0/8"], false],
    [["fd00::/64"], false],
    [["10.0.0.0/8", "10.1.0.0/16"], false],
    [["10.1.0.0/16", "10.0.0.0/8"], false],
    [
      [
        "10.1.0.0/24",
        "10.2.0.0/24",
        "10.3.0.0/24",
        "10.4.0.0/24",
        "10.5.0.0/24",
        "10.6.0.0/24",
        "10.7.0.0/24",
        "10.8.0.0/24",
        "10.9.0.0/24",
      ],
      false,
    ],
  ])("%p: %p", (texts, verdict) => {
    expect(isPool(prefixes(...texts))).toBe(verdict);
  });

  test.each([
    ["10.11.12.0", false],
    ["10.11.12.1", true],
    ["10.11.12.254", true],
    ["10.11.12.255", false],
    ["10.11.13.1", false],
    ["fd00::1", false],
  ])("%p may be held: %p", (text, verdict) => {
    expect(isPoolAddress(prefixes("10.11.12.0/24"), parseAddress(text)!)).toBe(verdict);
  });

  test("the resolver's address is nobody's", () => {
    const pool = prefixes("100.100.100.52/30");
    expect(isPoolAddress(pool, parseAddress("100.100.100.53")!)).toBe(false);
    expect(formatAddress(pickAddress(pool, () => false)!)).toBe("100.100.100.54");
  });

  test("addresses come in order, prefix after prefix, until none is left", () => {
    const pool = prefixes("10.0.0.0/30", "10.9.0.0/30");
    const held = new Set<string>();
    const picked: string[] = [];
    for (;;) {
      const address = pickAddress(pool, (candidate) => held.has(formatAddress(candidate)));
      if (!address) break;
      held.add(formatAddress(address));
      picked.push(formatAddress(address));
    }
    expect(picked).toEqual(["10.0.0.1", "10.0.0.2", "10.9.0.1", "10.9.0.2"]);
  });
});
