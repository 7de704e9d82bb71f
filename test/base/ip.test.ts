import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  addressLengthBits,
  equalAddresses,
  equalEndpoints,
  formatAddress,
  formatEndpoint,
  formatPrefix,
  hostPrefix,
  ipv4FromNumber,
  ipv4PrefixSize,
  ipv4ToNumber,
  isIpv4,
  maskPrefix,
  parseAddress,
  parseEndpoint,
  parsePrefix,
  prefixContains,
  unmapAddress,
} from "../../src/base/ip.ts";

const ipv4 = () => fc.uint8Array({ minLength: 4, maxLength: 4 });
/** With many zeros, so that there are runs. */
const ipv6 = () =>
  fc
    .array(fc.oneof(fc.constant(0), fc.constant(1), fc.nat(0xffff)), { minLength: 8, maxLength: 8 })
    .map((groups) => Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff])));
const address = () => fc.oneof(ipv4(), ipv6());

describe("addresses", () => {
  test.each([
    ["0.0.0.0", "00000000"],
    ["10.11.12.1", "0a0b0c01"],
    ["255.255.255.255", "ffffffff"],
    ["::", "00000000000000000000000000000000"],
    ["::1", "00000000000000000000000000000001"],
    ["1::", "00010000000000000000000000000000"],
    ["2001:db8::1", "20010db8000000000000000000000001"],
    ["fd00:1:2:3:4:5:6:7", "fd000001000200030004000500060007"],
    // RFC 5952: section 4.2.2, one group of zeros stays; 4.2.3, the longest run, the first of equal ones.
    ["2001:db8:0:1:1:1:1:1", "20010db8000000010001000100010001"],
    ["2001:0:0:1::1", "20010000000000010000000000000001"],
    ["2001:db8::1:0:0:1", "20010db8000000000001000000000001"],
    ["1:2:3:4:5:6::", "00010002000300040005000600000000"],
    ["::3:4:5:6:7:8", "00000000000300040005000600070008"],
    ["::ffff:102:304", "00000000000000000000ffff01020304"],
  ])("%s", (text, hex) => {
    const bytes = Uint8Array.fromHex(hex);
    expect(parseAddress(text)).toEqual(bytes);
    expect(formatAddress(bytes)).toBe(text);
    expect(isIpv4(bytes)).toBe(!text.includes(":"));
    expect(addressLengthBits(bytes)).toBe(text.includes(":") ? 128 : 32);
  });

  test.each([
    ["2001:DB8::1", "2001:db8::1"],
    ["2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["::1.2.3.4", "::102:304"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
    ["1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"],
  ])("%s is %s", (text, canonical) => {
    expect(formatAddress(parseAddress(text)!)).toBe(canonical);
  });

  test.each([
    "",
    "1",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.",
    ".1.2.3",
    "1..2.3",
    "01.2.3.4",
    "1.2.3.04",
    "256.1.1.1",
    "1.2.3.999",
    "-1.2.3.4",
    "0x1.2.3.4",
    "1.2.3.4 ",
    " 1.2.3.4",
    "1.2.3.4\n",
    "1e1.2.3.4",
    "١.2.3.4",
    "1.2.3.4/8",
    ":",
    ":::",
    "1:",
    ":1",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7::8",
    "1::2:3:4:5:6:7:8",
    "12345::",
    "g::",
    "::1%eth0",
    "[::1]",
    "1.2.3.4::",
    "::1.2.3.4:5",
    "::1.2.3",
    "::1.2.3.256",
    "1:2:3:4:5:6:7:1.2.3.4",
    ":1.2.3.4",
    "::01.2.3.4",
    "1:::2",
    ":: 1",
  ])("%p is no address", (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });

  test("any address comes back, in a form that no other way of writing is shorter than", () => {
    fc.assert(
      fc.property(address(), (bytes) => {
        const text = formatAddress(bytes);
        expect(parseAddress(text)).toEqual(bytes);
        expect(text).toBe(text.toLowerCase());
        expect(text).not.toMatch(/(^|:)0[0-9a-f]/);
      }),
      { seed: 5952, numRuns: 300 },
    );
  });

  test("as the URL parser writes it", () => {
    fc.assert(
      fc.property(ipv6(), (bytes) => {
        expect(`[${formatAddress(bytes)}]`).toBe(new URL(`http://[${formatAddress(bytes)}]/`).hostname);
      }),
      { seed: 6, numRuns: 200 },
    );
  });

  test("equality is of family and bytes", () => {
    expect(equalAddresses(parseAddress("0.0.0.0")!, parseAddress("::")!)).toBe(false);
    expect(equalAddresses(parseAddress("1.2.3.4")!, parseAddress("1.2.3.4")!)).toBe(true);
    expect(equalAddresses(parseAddress("1.2.3.4")!, parseAddress("1.2.3.5")!)).toBe(false);
  });
});

describe("prefixes", () => {
  test.each([
    ["10.0.0.0/8", "10.0.0.0/8", "10.0.0.0/8"],
    ["10.1.2.3/8", "10.1.2.3/8", "10.0.0.0/8"],
    ["10.1.2.3", "10.1.2.3/32", "10.1.2.3/32"],
    ["255.255.255.255/0", "255.255.255.255/0", "0.0.0.0/0"],
    ["255.255.255.255/25", "255.255.255.255/25", "255.255.255.128/25"],
    ["255.255.255.255/31", "255.255.255.255/31", "255.255.255.254/31"],
    ["::1", "::1/128", "::1/128"],
    ["fd00:ffff::/17", "fd00:ffff::/17", "fd00:8000::/17"],
    ["ffff::ffff/127", "ffff::ffff/127", "ffff::fffe/127"],
    ["::/0", "::/0", "::/0"],
  ])("%s", (text, formatted, masked) => {
    const prefix = parsePrefix(text)!;
    expect(formatPrefix(prefix)).toBe(formatted);
    expect(formatPrefix(maskPrefix(prefix))).toBe(masked);
  });

  test.each([
    "",
    "/8",
    "10.0.0.0/",
    "10.0.0.0/33",
    "::/129",
    "10.0.0.0/08",
    "10.0.0.0/-1",
    "10.0.0.0/8 ",
    "10.0.0.0/ 8",
    "10.0.0.0/8/8",
    "10.0.0.0/255.0.0.0",
    "10.0.0/8",
    "10.0.0.0/1e1",
    "10.0.0.0/1000",
  ])("%p is no prefix", (text) => {
    expect(parsePrefix(text)).toBeUndefined();
  });

  test("contains exactly the addresses that are the same when masked", () => {
    fc.assert(
      fc.property(address(), address(), fc.nat(128), fc.nat(127), (a, b, length, flippedBit) => {
        const lengthBits = Math.min(length, addressLengthBits(a));
        const prefix = { address: a, lengthBits };
        const isSameMasked = (other: Uint8Array) =>
          other.length === a.length &&
          equalAddresses(maskPrefix({ address: other, lengthBits }).address, maskPrefix(prefix).address);
        // Random addresses share few bits: one that differs in a single bit as well.
        const near = a.slice();
        const bit = flippedBit % addressLengthBits(a);
        near[bit >> 3]! ^= 0x80 >> (bit & 7);
        expect(prefixContains(prefix, a)).toBe(true);
        expect(prefixContains(prefix, near)).toBe(bit >= lengthBits);
        for (const other of [b, near]) expect(prefixContains(prefix, other)).toBe(isSameMasked(other));
        expect(maskPrefix(maskPrefix(prefix))).toEqual(maskPrefix(prefix));
        expect(parsePrefix(formatPrefix(prefix))).toEqual(prefix);
      }),
      { seed: 14, numRuns: 500 },
    );
  });

  test("masking leaves the given address as it is", () => {
    const prefix = parsePrefix("10.1.2.3/8")!;
    maskPrefix(prefix);
    expect(formatPrefix(prefix)).toBe("10.1.2.3/8");
  });

  test("of one address", () => {
    expect(formatPrefix(hostPrefix(parseAddress("1.2.3.4")!))).toBe("1.2.3.4/32");
    expect(formatPrefix(hostPrefix(parseAddress("fd00::1")!))).toBe("fd00::1/128");
  });

  test.each([
    ["10.0.0.0/32", 1],
    ["10.0.0.0/24", 256],
    ["0.0.0.0/0", 2 ** 32],
  ])("%s has %d addresses", (text, size) => {
    expect(ipv4PrefixSize(parsePrefix(text)!)).toBe(size);
  });
});

describe("IPv4 as numbers", () => {
  test.each([
    ["0.0.0.0", 0],
    ["0.0.1.0", 256],
    ["127.255.255.255", 2 ** 31 - 1],
    ["128.0.0.0", 2 ** 31],
    ["255.255.255.255", 2 ** 32 - 1],
  ])("%s is %d", (text, value) => {
    expect(ipv4ToNumber(parseAddress(text)!)).toBe(value);
    expect(formatAddress(ipv4FromNumber(value))).toBe(text);
  });
});

describe("endpoints", () => {
  test.each(["0.0.0.0:0", "192.0.2.7:7411", "255.255.255.255:65535", "[::]:0", "[2001:db8::1]:65535"])("%s", (text) => {
    expect(formatEndpoint(parseEndpoint(text)!)).toBe(text);
  });

  test("a link-local one has the zone that is known by its name, and no other has any", () => {
    const findZone = (name: string) => (name === "eth0" ? 3 : undefined);
    const endpoint = parseEndpoint("[fe80::1%eth0]:1", findZone)!;
    expect(endpoint).toEqual({ address: parseAddress("fe80::1")!, port: 1, zone: 3 });
    expect(formatEndpoint(endpoint)).toBe("[fe80::1%3]:1");
    for (const text of ["[fe80::1%eth1]:1", "[2001:db8::1%eth0]:1", "[fe80::1%]:1", "1.2.3.4%eth0:1"]) {
      expect(parseEndpoint(text, findZone)).toBeUndefined();
    }
    expect(parseEndpoint("[fe80::1%eth0]:1")).toBeUndefined();
    const { address, port } = endpoint;
    expect(equalEndpoints(endpoint, { address, port, zone: 4 })).toBe(false);
    expect(equalEndpoints(endpoint, { ...endpoint, local: address })).toBe(true);
  });

  test.each([
    "",
    ":",
    ":1",
    "1.2.3.4",
    "1.2.3.4:",
    "1.2.3.4:65536",
    "1.2.3.4:99999",
    "1.2.3.4:01",
    "1.2.3.4:-1",
    "1.2.3.4: 1",
    "1.2.3.4:1 ",
    "1.2.3.4:1\n",
    "1.2.3.4:1:2",
    "[1.2.3.4]:1",
    "[::1]",
    "[::1]1",
    "[::1]:",
    "[::1]:65536",
    "[[::1]]:1",
    "[]:1",
    "::1:1",
    "2001:db8::1:7411",
    "[fe80::1%eth0]:1",
    "example.com:1",
  ])("%p is no endpoint", (text) => {
    expect(parseEndpoint(text)).toBeUndefined();
  });

  test("any endpoint comes back; equality is of address and port", () => {
    fc.assert(
      fc.property(address(), fc.nat(65535), (bytes, port) => {
        const endpoint = { address: bytes, port };
        const again = parseEndpoint(formatEndpoint(endpoint))!;
        expect(again).toEqual(endpoint);
        expect(equalEndpoints(endpoint, again)).toBe(true);
        expect(equalEndpoints(endpoint, { address: bytes, port: port ^ 1 })).toBe(false);
        const other = bytes.slice();
        other[0]! ^= 1;
        expect(equalEndpoints(endpoint, { address: other, port })).toBe(false);
      }),
      { seed: 15 },
    );
  });
});

test.each([
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["::ffff:0.0.0.0", "0.0.0.0"],
  ["192.0.2.1", "192.0.2.1"],
  ["::192.0.2.1", "::c000:201"],
  ["::fffe:192.0.2.1", "::fffe:c000:201"],
  ["1::ffff:192.0.2.1", "1::ffff:c000:201"],
  ["2001:db8::1", "2001:db8::1"],
])("%s unmapped is %s", (text, expected) => {
  expect(formatAddress(unmapAddress(parseAddress(text)!))).toBe(expected);
});
