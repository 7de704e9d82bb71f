/** The monitor of network changes. Needs root. */

import { expect, test } from "bun:test";
import {
  addAddress,
  addRoute,
  changeLink,
  closeFd,
  createBridge,
  createVeth,
  deleteAddress,
  deleteLink,
  deleteRoute,
  getLink,
  inNamespace,
  type MonitorEvent,
  openMonitor,
  readMonitor,
  SO_RCVBUF,
  SOL_SOCKET,
  setSocketOption,
} from "../src/index.ts";
import { addLink, bytesOf, freshNetwork } from "./fresh-network.ts";

/** The kernel queues an event before the change that caused it is acknowledged: what is read now is all there is. */
function readAll(fd: number): MonitorEvent[] {
  const all: MonitorEvent[] = [];
  for (;;) {
    const events = readMonitor(fd);
    if (events.length === 0) return all;
    all.push(...events);
  }
}

test("links, addresses and routes that come, change and go", () => {
  using network = freshNetwork();
  const monitor = inNamespace(network.fd, openMonitor);
  expect(readMonitor(monitor)).toEqual([]);

  createVeth(network.netlink, { name: "eth0" }, { name: "peer" });
  changeLink(network.netlink, getLink(network.netlink, "peer")!.index, { up: true });
  const { index } = getLink(network.netlink, "eth0")!;
  expect(readAll(monitor)).toContainEqual({
    type: "link-changed",
    index,
    name: "eth0",
    up: false,
    carrier: false,
    mtu: 1500,
  });

  changeLink(network.netlink, index, { up: true, mtu: 1280 });
  expect(readAll(monitor)).toContainEqual({
    type: "link-changed",
    index,
    name: "eth0",
    up: true,
    carrier: true,
    mtu: 1280,
  });

  const address = { linkIndex: index, address: bytesOf("192.0.2.7"), lengthBits: 24 };
  addAddress(network.netlink, address);
  const added = readAll(monitor);
  expect(added).toContainEqual({
    type: "address-changed",
    deleted: false,
    address: expect.objectContaining(address),
  });
  const destination = { address: bytesOf("192.0.2.0"), lengthBits: 24 };
  expect(added).toContainEqual({
    type: "route-changed",
    deleted: false,
    route: expect.objectContaining({ destination }),
  });

  const own = { destination: { address: bytesOf("2001:db8::"), lengthBits: 32 }, linkIndex: index };
  addRoute(network.netlink, own);
  deleteRoute(network.netlink, own);
  const changes = readAll(monitor).filter(
    (event) => event.type === "route-changed" && event.route.destination.lengthBits === 32 && event.route.table === 254,
  );
  expect(changes).toMatchObject([
    { deleted: false, route: own },
    { deleted: true, route: own },
  ]);

  deleteAddress(network.netlink, address);
  expect(readAll(monitor)).toContainEqual({
    type: "address-changed",
    deleted: true,
    address: expect.objectContaining(address),
  });

  deleteLink(network.netlink, index);
  expect(readAll(monitor)).toContainEqual({ type: "link-deleted", index, name: "eth0" });
  closeFd(monitor);
});

test("a port that leaves its bridge is not deleted", () => {
  using network = freshNetwork();
  createBridge(network.netlink, "br0", { up: true });
  const masterIndex = getLink(network.netlink, "br0")!.index;
  const index = addLink(network.netlink, "port");
  changeLink(network.netlink, index, { masterIndex });
  const monitor = inNamespace(network.fd, openMonitor);
  changeLink(network.netlink, index, { masterIndex: 0 });
  const events = readAll(monitor);
  expect(events).toContainEqual(expect.objectContaining({ type: "link-changed", name: "port" }));
  expect(events.filter(({ type }) => type === "link-deleted")).toEqual([]);
  closeFd(monitor);
});

test("what nobody read in time is an overrun, and the monitor goes on", () => {
  using network = freshNetwork();
  const monitor = inNamespace(network.fd, openMonitor);
  setSocketOption(monitor, SOL_SOCKET, SO_RCVBUF, 4096);
  for (let i = 0; i < 20; i++) createBridge(network.netlink, `bridge${i}`);
  expect(readAll(monitor)).toContainEqual({ type: "overrun" });
  createBridge(network.netlink, "last");
  expect(readAll(monitor)).toContainEqual(expect.objectContaining({ type: "link-changed", name: "last" }));
  closeFd(monitor);
});

test("a storm is read in pieces", () => {
  using network = freshNetwork();
  const monitor = inNamespace(network.fd, openMonitor);
  for (let i = 0; i < 100; i++) createBridge(network.netlink, `bridge${i}`);
  const first = readMonitor(monitor);
  const rest = readAll(monitor);
  expect(first.length).toBeGreaterThan(0);
  expect(rest.length).toBeGreaterThan(0);
  const names = [...first, ...rest].map((event) => (event.type === "link-changed" ? event.name : event.type));
  expect(new Set(names)).toEqual(new Set(Array.from({ length: 100 }, (_, i) => `bridge${i}`)));
  closeFd(monitor);
});
