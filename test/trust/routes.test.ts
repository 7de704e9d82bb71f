import { describe, expect, test } from "bun:test";
import { formatPrefix, parsePrefix } from "../../src/base/ip.ts";
import { isRoute, isRouteSet, MOST_ROUTES, sortRoutes } from "../../src/trust/routes.ts";

const routes = (...texts: string[]) => texts.map((text) => parsePrefix(text)!);

describe("routes", () => {
  test.each([
    ["0.0.0.0/0", true],
    ["::/0", true],
    ["192.168.1.0/24", true],
    ["2001:db8::/32", true],
    ["64:ff9b::/96", true],
    ["0.0.0.0/1", false],
    ["0.1.0.0/16", false],
    ["127.0.0.1/32", false],
    ["169.254.1.0/24", false],
    ["224.0.0.0/4", false],
    ["128.0.0.0/1", false],
    ["100.100.100.0/24", false],
    ["::1/128", false],
    ["::ffff:10.0.0.0/104", false],
    ["::/1", false],
    ["fe80::/10", false],
    ["ff02::/16", false],
  ])("%s may be one: %p", (text, expected) => {
    expect(isRoute(parsePrefix(text)!)).toBe(expected);
  });

  test("have one order, each once", () => {
    const given = routes("::/0", "10.0.0.0/16", "10.0.0.0/8", "2001:db8::/32", "0.0.0.0/0", "10.0.0.0/8");
    const sorted = sortRoutes(given);
    expect(sorted.map(formatPrefix)).toEqual(["0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/16", "::/0", "2001:db8::/32"]);
    expect(isRouteSet(sorted)).toBe(true);
    expect(isRouteSet(given)).toBe(false);
    expect(isRouteSet([])).toBe(true);
  });

  test("are bounded in number", () => {
    const many = Array.from({ length: MOST_ROUTES + 1 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`);
    expect(isRouteSet(sortRoutes(routes(...many)))).toBe(false);
    expect(isRouteSet(sortRoutes(routes(...many.slice(1))))).toBe(true);
  });
});
