/** Routes and rules, judged by the program `ip`. Needs root. */

import { describe, expect, test } from "bun:test";
import {
  addAddress,
  addRoute,
  addRule,
  deleteRoute,
  deleteRule,
  isSystemError,
  listRoutes,
  listRules,
  PROTOCOL_KERNEL,
  PROTOCOL_STATIC,
  replaceRoute,
  SCOPE_LINK,
  SCOPE_UNIVERSE,
  TABLE_LOCAL,
  TABLE_MAIN,
} from "../src/index.ts";
import { addLink, bytesOf, freshNetwork } from "./fresh-network.ts";

const OWN_TABLE = 51820;

function prefix(text: string) {
  const [address = "", lengthBits = ""] = text.split("/");
  return { address: bytesOf(address), lengthBits: Number(lengthBits) };
}

/** A namespace with `eth0`, which has 192.0.2.7/24 and 2001:db8::7/64. */
function networkWithLink() {
  const network = freshNetwork();
  const linkIndex = addLink(network.netlink, "eth0");
  addAddress(network.netlink, { linkIndex, address: bytesOf("192.0.2.7"), lengthBits: 24 });
  addAddress(network.netlink, { linkIndex, address: bytesOf("2001:db8::7"), lengthBits: 64, noDad: true });
  return { ...network, linkIndex };
}

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (isSystemError(error)) return error.code;
    throw error;
  }
  return "nothing was thrown";
}

describe("routes", () => {
  test("that the kernel made are listed", () => {
    using network = networkWithLink();
    expect(listRoutes(network.netlink, { table: TABLE_MAIN, version: 4 })).toEqual([
      {
        destination: prefix("192.0.2.0/24"),
        table: TABLE_MAIN,
        type: "unicast",
        scope: SCOPE_LINK,
        protocol: PROTOCOL_KERNEL,
        metric: 0,
        linkIndex: network.linkIndex,
        gateway: undefined,
        preferredSource: bytesOf("192.0.2.7"),
        nextHops: [],
      },
    ]);
    const local = listRoutes(network.netlink, { table: TABLE_LOCAL });
    expect(local).toContainEqual(expect.objectContaining({ destination: prefix("192.0.2.7/32"), type: "local" }));
    expect(listRoutes(network.netlink, { version: 6 })).toContainEqual(
      expect.objectContaining({ destination: prefix("2001:db8::/64"), linkIndex: network.linkIndex }),
    );
  });

  test("of both families, in a table of their own, by a gateway, with metric, protocol and source", () => {
    using network = networkWithLink();
    const ipv4 = {
      destination: prefix("198.51.100.0/24"),
      table: OWN_TABLE,
      gateway: bytesOf("192.0.2.1"),
      metric: 77,
      protocol: PROTOCOL_STATIC,
      preferredSource: bytesOf("192.0.2.7"),
    };
    const ipv6 = { destination: prefix("::/0"), table: 7, gateway: bytesOf("2001:db8::1"), metric: 9 };
    addRoute(network.netlink, ipv4);
    addRoute(network.netlink, { ...ipv6, linkIndex: network.linkIndex });
    expect(listRoutes(network.netlink, { table: OWN_TABLE })).toMatchObject([
      { ...ipv4, scope: SCOPE_UNIVERSE, type: "unicast", linkIndex: network.linkIndex },
    ]);
    expect(listRoutes(network.netlink, { table: 7 })).toMatchObject([{ ...ipv6, linkIndex: network.linkIndex }]);
    expect(network.ip("route", "show", "table", String(OWN_TABLE))).toMatchObject([
      {
        dst: "198.51.100.0/24",
        gateway: "192.0.2.1",
        dev: "eth0",
        metric: 77,
        protocol: "static",
        prefsrc: "192.0.2.7",
      },
    ]);
    expect(network.ip("-6", "route", "show", "table", "7")).toMatchObject([
      { dst: "default", gateway: "2001:db8::1", metric: 9 },
    ]);
  });

  test("straight to a link, unreachable and blackhole", () => {
    using network = networkWithLink();
    addRoute(network.netlink, { destination: prefix("10.11.12.0/24"), linkIndex: network.linkIndex });
    addRoute(network.netlink, { destination: prefix("10.0.0.0/8"), type: "unreachable", metric: 4000 });
    addRoute(network.netlink, { destination: prefix("fd00::/8"), type: "blackhole" });
    expect(network.ip("route")).toMatchObject([
      { type: "unreachable", dst: "10.0.0.0/8", metric: 4000 },
      { type: "unicast", dst: "10.11.12.0/24", scope: "link" },
      { dst: "192.0.2.0/24" },
    ]);
    expect(network.ip("-6", "route", "show", "type", "blackhole")).toMatchObject([{ dst: "fd00::/8" }]);
  });

  test("replaced and deleted", () => {
    using network = networkWithLink();
    const route = { destination: prefix("0.0.0.0/0"), table: OWN_TABLE };
    replaceRoute(network.netlink, { ...route, gateway: bytesOf("192.0.2.1") });
    replaceRoute(network.netlink, { ...route, gateway: bytesOf("192.0.2.2") });
    expect(network.ip("route", "show", "table", "all", "default")).toMatchObject([
      { dst: "default", gateway: "192.0.2.2", table: String(OWN_TABLE) },
    ]);
    deleteRoute(network.netlink, route);
    expect(listRoutes(network.netlink, { table: OWN_TABLE })).toEqual([]);
    expect(codeOf(() => deleteRoute(network.netlink, route))).toBe("ESRCH");
    const unreachable = { destination: prefix("2001:db8:1::/48"), type: "unreachable" } as const;
    addRoute(network.netlink, unreachable);
    deleteRoute(network.netlink, unreachable);
    expect(network.ip("-6", "route", "show", "type", "unreachable")).toEqual([]);
  });

  test("over several next hops", () => {
    using network = networkWithLink();
    network.ip(
      "route",
      "add",
      "10.0.0.0/8",
      "nexthop",
      "via",
      "192.0.2.1",
      "weight",
      "3",
      "nexthop",
      "via",
      "192.0.2.2",
    );
    expect(listRoutes(network.netlink, { table: TABLE_MAIN })).toContainEqual(
      expect.objectContaining({
        linkIndex: undefined,
        gateway: undefined,
        nextHops: [
          { linkIndex: network.linkIndex, gateway: bytesOf("192.0.2.1"), weight: 3 },
          { linkIndex: network.linkIndex, gateway: bytesOf("192.0.2.2"), weight: 1 },
        ],
      }),
    );
  });

  test("2000 of them are listed whole", () => {
    using network = networkWithLink();
    for (let i = 0; i < 2000; i++) {
      const destination = { address: new Uint8Array([10, i >> 8, i & 0xff, 0]), lengthBits: 24 };
      addRoute(network.netlink, { destination, linkIndex: network.linkIndex, table: OWN_TABLE });
    }
    expect(listRoutes(network.netlink, { table: OWN_TABLE })).toHaveLength(2000);
  });

  test("failures", () => {
    using network = networkWithLink();
    const route = { destination: prefix("10.0.0.0/8"), linkIndex: network.linkIndex };
    addRoute(network.netlink, route);
    expect(codeOf(() => addRoute(network.netlink, route))).toBe("EEXIST");
    expect(codeOf(() => addRoute(network.netlink, { ...route, destination: prefix("10.0.0.1/8") }))).toBe("EINVAL");
    const noWay = { destination: prefix("11.0.0.0/8"), gateway: bytesOf("203.0.113.1") };
    expect(() => addRoute(network.netlink, noWay)).toThrow(
      "cannot add route 11.0.0.0/8 in table 254: network is unreachable (ENETUNREACH): Nexthop has invalid gateway",
    );
  });
});

describe("rules", () => {
  test("of a fresh namespace", () => {
    using network = freshNetwork();
    const common = { version: 4, action: "table", invert: false, protocol: PROTOCOL_KERNEL } as const;
    expect(listRules(network.netlink, 4)).toEqual([
      { ...common, priority: 0, table: TABLE_LOCAL },
      { ...common, priority: 32766, table: TABLE_MAIN },
      { ...common, priority: 32767, table: 253 },
    ]);
    expect(listRules(network.netlink).filter(({ version }) => version === 6)).toHaveLength(2);
  });

  test("as wg-quick makes them, in both families", () => {
    using network = freshNetwork();
    for (const version of [4, 6] as const) {
      const unmarked = { version, invert: true, mark: 0xca6c, markMask: 0xffffffff, table: OWN_TABLE, priority: 5208 };
      const noDefault = { version, table: TABLE_MAIN, suppressPrefixLength: 0, priority: 5207 };
      addRule(network.netlink, unmarked);
      addRule(network.netlink, noDefault);
      expect(listRules(network.netlink, version)).toMatchObject([
        { priority: 0 },
        { ...noDefault, action: "table", invert: false },
        { ...unmarked, action: "table" },
        ...(version === 4 ? [{}, {}] : [{}]),
      ]);
      expect(network.ip(`-${version}`, "rule").slice(1, 3)).toMatchObject([
        { priority: 5207, table: "main", suppress_prefixlen: 0 },
        { priority: 5208, not: null, fwmark: "0xca6c", table: String(OWN_TABLE) },
      ]);
      deleteRule(network.netlink, unmarked);
      deleteRule(network.netlink, noDefault);
      expect(network.ip(`-${version}`, "rule")[1]).toMatchObject({ priority: 32766 });
    }
  });

  test("by mask, source, destination, interface, with another action", () => {
    using network = freshNetwork();
    const rule = {
      version: 4,
      priority: 100,
      mark: 0x10000,
      markMask: 0xff0000,
      source: prefix("10.0.0.0/8"),
      destination: prefix("192.0.2.0/24"),
      inputInterface: "lo",
      outputInterface: "eth9",
      action: "unreachable",
      protocol: PROTOCOL_STATIC,
    } as const;
    addRule(network.netlink, rule);
    expect(listRules(network.netlink, 4)[1]).toEqual({ ...rule, table: 0, invert: false });
    expect(network.ip("rule", "show", "priority", "100")).toMatchObject([
      {
        src: "10.0.0.0",
        srclen: 8,
        dst: "192.0.2.0",
        dstlen: 24,
        fwmark: "0x10000",
        fwmask: "0xff0000",
        iif: "lo",
        oif: "eth9",
        action: "unreachable",
      },
    ]);
  });

  test("failures", () => {
    using network = freshNetwork();
    const rule = { version: 4, table: 7, priority: 100 } as const;
    addRule(network.netlink, rule);
    expect(codeOf(() => addRule(network.netlink, rule))).toBe("EEXIST");
    deleteRule(network.netlink, rule);
    expect(codeOf(() => deleteRule(network.netlink, rule))).toBe("ENOENT");
  });
});
