/** Where packets would go, in a namespace with two links. Needs root. */

import { expect, test } from "bun:test";
import {
  addAddress,
  addRoute,
  addRule,
  deleteRoute,
  getLink,
  isSystemError,
  lookUpRoute,
  type RouteQuestion,
} from "../src/index.ts";
import { addLink, bytesOf, freshNetwork } from "./fresh-network.ts";

const OWN_TABLE = 51820;
const MARK = 0x1234;

/** `eth0` has 192.0.2.7/24 and 2001:db8::7/64, `eth1` has 198.51.100.7/24. */
function twoLinks() {
  const network = freshNetwork();
  const [first, second] = [addLink(network.netlink, "eth0"), addLink(network.netlink, "eth1")];
  addAddress(network.netlink, { linkIndex: first, address: bytesOf("192.0.2.7"), lengthBits: 24 });
  addAddress(network.netlink, { linkIndex: first, address: bytesOf("2001:db8::7"), lengthBits: 64, noDad: true });
  addAddress(network.netlink, { linkIndex: second, address: bytesOf("198.51.100.7"), lengthBits: 24 });
  const ask = (question: RouteQuestion) => lookUpRoute(network.netlink, question);
  return { ...network, first, second, ask };
}

test("on the link and behind a gateway, over both families", () => {
  using network = twoLinks();
  const { netlink, first, second, ask } = network;
  expect(ask({ destination: bytesOf("192.0.2.9") })).toEqual({
    linkIndex: first,
    gateway: undefined,
    source: bytesOf("192.0.2.7"),
  });
  expect(ask({ destination: bytesOf("2001:db8::9") })).toMatchObject({
    linkIndex: first,
    source: bytesOf("2001:db8::7"),
  });
  const anywhere = { address: bytesOf("0.0.0.0"), lengthBits: 0 };
  addRoute(netlink, { destination: anywhere, gateway: bytesOf("198.51.100.1") });
  const far = { linkIndex: second, gateway: bytesOf("198.51.100.1") };
  expect(ask({ destination: bytesOf("203.0.113.9") })).toEqual({ ...far, source: bytesOf("198.51.100.7") });
  const source = bytesOf("192.0.2.7");
  expect(ask({ destination: bytesOf("203.0.113.9"), source })).toEqual({ ...far, source });
  deleteRoute(netlink, { destination: anywhere });
});

test("by the rules for a mark and a source", () => {
  using network = twoLinks();
  const { netlink, first, second, ask } = network;
  const destination = bytesOf("203.0.113.9");
  addRoute(netlink, { destination: { address: bytesOf("0.0.0.0"), lengthBits: 0 }, linkIndex: first });
  addRoute(netlink, {
    destination: { address: bytesOf("0.0.0.0"), lengthBits: 0 },
    linkIndex: second,
    table: OWN_TABLE,
  });
  addRule(netlink, { version: 4, priority: 100, table: OWN_TABLE, mark: MARK });
  expect(ask({ destination }).linkIndex).toBe(first);
  expect(ask({ destination, mark: MARK }).linkIndex).toBe(second);
});

test("to this machine, and nowhere", () => {
  using network = twoLinks();
  const { netlink, ask } = network;
  expect(ask({ destination: bytesOf("192.0.2.7") }).linkIndex).toBe(getLink(netlink, "lo")!.index);
  const codes = [
    { destination: bytesOf("203.0.113.9") },
    { destination: bytesOf("2001:db8:1::9") },
    { destination: bytesOf("192.0.2.9"), source: bytesOf("192.0.2.8") },
  ].map((question) => {
    try {
      return ask(question);
    } catch (error) {
      return isSystemError(error) ? error.code : error;
    }
  });
  expect(codes.slice(0, 2)).toEqual(["ENETUNREACH", "ENETUNREACH"]);
  // The latter since Linux 6.18 at the latest.
  expect(["EINVAL", "ENETUNREACH"]).toContain(codes[2] as string);
});
