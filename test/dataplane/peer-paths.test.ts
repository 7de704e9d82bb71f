import { describe, expect, test } from "bun:test";
import {
  type Endpoint,
  formatEndpoint,
  hostPrefix,
  ipv4FromNumber,
  parseEndpoint,
  parsePrefix,
} from "../../src/base/ip.ts";
import type { DataPlaneEvent } from "../../src/dataplane/event.ts";
import { isInside, MAXIMUM_INSIDE_PREFIXES } from "../../src/dataplane/inside-prefixes.ts";
import { PeerEndpoints } from "../../src/dataplane/peer-endpoints.ts";
import { PeerPaths } from "../../src/dataplane/peer-paths.ts";
import { SharedTables } from "../../src/dataplane/shared-tables.ts";
import { TableWriter } from "../../src/dataplane/table-writer.ts";

const SLOT = 3;
const HOME = parseEndpoint("192.0.2.1:1")!;
const AWAY = parseEndpoint("[2001:db8::2]:2")!;
const INSIDE = parseEndpoint("10.0.0.3:3")!;

/** rx's notes and tx's copies over the same tables. */
function makeTables() {
  const tables = new SharedTables();
  const writer = new TableWriter(tables);
  writer.addPeer(SLOT);
  writer.setEndpoint(SLOT, HOME);
  const reports: Endpoint[] = [];
  const report = (event: DataPlaneEvent) => void (event.type === "roamed" && reports.push(event.source));
  const endpoints = new PeerEndpoints(tables);
  const where = () => {
    const { endpoint } = endpoints.get(SLOT);
    return endpoint && formatEndpoint(endpoint);
  };
  return { tables, writer, paths: new PeerPaths(tables, report), reports, where };
}

describe("where tx sends", () => {
  test("is where rx heard the peer last, until the main thread says another place", () => {
    const { writer, paths, reports, where } = makeTables();
    expect(where()).toBe("192.0.2.1:1");
    paths.note(SLOT, HOME);
    expect(reports).toEqual([]);
    paths.note(SLOT, AWAY);
    expect(where()).toBe("[2001:db8::2]:2");
    paths.note(SLOT, HOME);
    expect(where()).toBe("192.0.2.1:1");
    paths.note(SLOT, AWAY);
    expect(where()).toBe("[2001:db8::2]:2");
    expect(reports).toEqual([AWAY]);
    writer.setEndpoint(SLOT, HOME);
    expect(paths.isCurrent(SLOT)).toBe(false);
    expect(where()).toBe("192.0.2.1:1");
    paths.note(SLOT, AWAY);
    expect(reports).toEqual([AWAY, AWAY]);
  });

  test("is a zone's address with its zone", () => {
    const { paths, where } = makeTables();
    paths.note(SLOT, { ...parseEndpoint("[fe80::1]:7")!, zone: 4 });
    expect(where()).toBe("[fe80::1%4]:7");
  });

  test("is never inside the tunnel", () => {
    const { writer, paths, reports, where } = makeTables();
    writer.setInsidePrefixes([parsePrefix("fd00::/8")!, parsePrefix("10.0.0.0/24")!]);
    paths.note(SLOT, INSIDE);
    expect(where()).toBe("192.0.2.1:1");
    expect(reports).toEqual([]);
    expect(paths.isCurrent(SLOT)).toBe(true);
    writer.setInsidePrefixes([]);
    paths.note(SLOT, INSIDE);
    expect(where()).toBe("10.0.0.3:3");
  });

  test("is not what a peer before it in the same slot was heard at", () => {
    const { writer, paths, where } = makeTables();
    paths.note(SLOT, AWAY);
    writer.removePeer(SLOT);
    writer.addPeer(SLOT);
    expect(where()).toBeUndefined();
  });
});

test("as many prefixes as fit are inside, and with more of them every address is", () => {
  const { tables, writer } = makeTables();
  const addresses = Array.from({ length: MAXIMUM_INSIDE_PREFIXES + 1 }, (_, i) => ipv4FromNumber(0x0a000000 + i));
  writer.setInsidePrefixes(addresses.slice(0, -1).map(hostPrefix));
  expect(addresses.map((address) => isInside(tables, address))).toEqual([...addresses.slice(1).map(() => true), false]);
  writer.setInsidePrefixes(addresses.map(hostPrefix));
  expect(isInside(tables, HOME.address)).toBe(true);
});
