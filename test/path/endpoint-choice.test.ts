import { describe, expect, test } from "bun:test";
import { type Endpoint, formatEndpoint, parseAddress, parseEndpoint } from "../../src/base/ip.ts";
import { chooseEndpoints, MAXIMUM_CANDIDATES, PATH_PROVEN_MS, sameEndpoints } from "../../src/path/endpoint-choice.ts";
import { type LocalAddress, localEndpoints } from "../../src/path/local-endpoints.ts";

const at = (text: string): Endpoint => parseEndpoint(text)!;
const texts = (endpoints: readonly Endpoint[]) => endpoints.map(formatEndpoint);

describe("choice of endpoints", () => {
  const candidates = [at("192.0.2.1:7411"), at("[2001:db8::1]:7411")];

  test("a path that packets came by lately is the only one", () => {
    const chosen = chooseEndpoints(at("198.51.100.9:4000"), candidates, 1000, 1000 + PATH_PROVEN_MS - 1);
    expect(texts(chosen)).toEqual(["198.51.100.9:4000"]);
  });

  test("a path that fell silent is tried beside all others", () => {
    const chosen = chooseEndpoints(at("198.51.100.9:4000"), candidates, 1000, 1000 + PATH_PROVEN_MS);
    expect(texts(chosen)).toEqual(["198.51.100.9:4000", "192.0.2.1:7411", "[2001:db8::1]:7411"]);
  });

  test("each endpoint once, and no more than a few", () => {
    const many = Array.from({ length: 100 }, (_, i) => at(`192.0.2.${i % 50}:7411`));
    const chosen = chooseEndpoints(at("192.0.2.3:7411"), many, undefined, 5);
    expect(chosen).toHaveLength(MAXIMUM_CANDIDATES);
    expect(new Set(texts(chosen)).size).toBe(MAXIMUM_CANDIDATES);
    expect(chooseEndpoints(undefined, [], undefined, 0)).toEqual([]);
  });

  test("sets of endpoints are compared without regard to order", () => {
    expect(sameEndpoints(candidates, candidates.toReversed())).toBe(true);
    expect(sameEndpoints(candidates, [candidates[0]!])).toBe(false);
    expect(sameEndpoints(candidates, [candidates[0]!, at("192.0.2.1:7412")])).toBe(false);
  });
});

function local(address: string, interfaceName = "eth0", isUp = true): LocalAddress {
  return { address: parseAddress(address)!, interfaceName, isUp };
}

test("published are addresses that another machine can use, IPv4 first, without the tunnel's own", () => {
  const endpoints = localEndpoints(
    [
      local("127.0.0.1", "lo"),
      local("::1", "lo"),
      local("2001:db8::5"),
      local("192.0.2.5"),
      local("169.254.1.1"),
      local("fe80::1"),
      local("10.11.12.1", "minitail0"),
      local("192.168.1.9", "wlan0", false),
      local("10.0.0.5", "docker0"),
    ],
    7411,
    "minitail0",
  );
  expect(texts(endpoints)).toEqual(["192.0.2.5:7411", "10.0.0.5:7411", "[2001:db8::5]:7411"]);
});

test("neither family keeps the other from being published", () => {
  const ipv4 = Array.from({ length: 40 }, (_, i) => local(`172.17.${i}.1`, `bridge${i}`));
  const ipv6 = Array.from({ length: 40 }, (_, i) => local(`2001:db8::${i + 1}`));
  const published = (...lists: LocalAddress[][]) =>
    localEndpoints(lists.flat(), 7411, "minitail0").map(({ address }) => address.length);
  const expected = (ipv4Count: number, ipv6Count: number) => [
    ...new Array(ipv4Count).fill(4),
    ...new Array(ipv6Count).fill(16),
  ];
  expect(published(ipv4, ipv6)).toEqual(expected(8, 8));
  expect(published(ipv4, ipv6.slice(0, 1))).toEqual(expected(15, 1));
  expect(published(ipv4.slice(0, 1), ipv6)).toEqual(expected(1, 15));
  expect(published(ipv4)).toEqual(expected(16, 0));
});
