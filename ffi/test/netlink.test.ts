/** Links and addresses, judged by the program `ip`. Needs root. */

import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  addAddress,
  changeLink,
  closeFd,
  createBridge,
  createDummy,
  createVeth,
  deleteAddress,
  deleteLink,
  getLink,
  inNamespace,
  listAddresses,
  listLinks,
  openNetlink,
  openTun,
  replaceAddress,
  SCOPE_LINK,
  SCOPE_UNIVERSE,
  SystemError,
} from "../src/index.ts";
import { addLink, bytesOf, type FreshNetwork, freshNetwork } from "./fresh-network.ts";

function thrownBy(action: () => unknown): SystemError {
  try {
    action();
  } catch (error) {
    if (error instanceof SystemError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("links", () => {
  test("of the machine are listed as ip lists them", () => {
    using netlink = openNetlink();
    const judged = JSON.parse(Bun.spawnSync(["ip", "-j", "link"]).stdout.toString());
    const mine = listLinks(netlink).map(({ index, name, mtu }) => ({ index, name, mtu }));
    expect(mine).toEqual(
      judged.map((link: Record<string, unknown>) => ({
        index: link["ifindex"],
        name: link["ifname"],
        mtu: link["mtu"],
      })),
    );
  });

  test("of a fresh namespace: a loopback interface, down", () => {
    using network = freshNetwork();
    expect(listLinks(network.netlink)).toEqual([
      {
        index: 1,
        name: "lo",
        up: false,
        carrier: false,
        loopback: true,
        pointToPoint: false,
        mtu: 65536,
        gsoMaxSegments: 65535,
        hardwareAddress: new Uint8Array(6),
        kind: undefined,
        masterIndex: undefined,
        lowerIndex: undefined,
        tun: undefined,
      },
    ]);
  });

  test("a veth pair, each end in a namespace of its own, up and named from the start", () => {
    using left = freshNetwork();
    using right = freshNetwork();
    createVeth(left.netlink, { name: "eth0", mtu: 1400, up: true }, { name: "eth0", namespaceFd: right.fd });
    const peer = getLink(right.netlink, "eth0")!;
    expect(peer.up).toBe(false);
    changeLink(right.netlink, peer.index, { up: true });
    const link = getLink(left.netlink, "eth0")!;
    expect(link).toMatchObject({ kind: "veth", up: true, carrier: true, mtu: 1400, lowerIndex: peer.index });
    expect(left.ip("link", "show", "eth0")).toMatchObject([
      {
        ifindex: link.index,
        flags: expect.arrayContaining(["UP", "LOWER_UP"]),
        mtu: 1400,
        linkinfo: { info_kind: "veth" },
        address: link.hardwareAddress.toHex().replace(/..(?=.)/g, "$&:"),
      },
    ]);
    expect(right.ip("link", "show", "eth0")).toMatchObject([{ ifindex: peer.index, mtu: peer.mtu }]);
    changeLink(right.netlink, peer.index, { up: false });
    expect(getLink(left.netlink, link.index)).toMatchObject({ up: true, carrier: false });
    deleteLink(right.netlink, peer.index);
    expect(getLink(left.netlink, link.index)).toBeUndefined();
  });

  test("of a chosen index", () => {
    using network = freshNetwork();
    createVeth(network.netlink, { name: "left", index: 1001 }, { name: "right", index: 1002 });
    expect(getLink(network.netlink, "left")?.index).toBe(1001);
    expect(getLink(network.netlink, "right")?.index).toBe(1002);
  });

  test("renamed, resized, given a hardware address, joined to a bridge and taken out", () => {
    using network = freshNetwork();
    createBridge(network.netlink, "br0", { up: true });
    createVeth(network.netlink, { name: "first" }, { name: "peer" });
    const { index } = getLink(network.netlink, "first")!;
    const bridge = getLink(network.netlink, "br0")!;
    const hardwareAddress = new Uint8Array([2, 0, 0, 0, 0, 7]);
    changeLink(network.netlink, index, { name: "second", mtu: 1280, masterIndex: bridge.index, hardwareAddress });
    changeLink(network.netlink, index, { up: true });
    expect(getLink(network.netlink, index)).toMatchObject({
      name: "second",
      mtu: 1280,
      up: true,
      kind: "veth",
      masterIndex: bridge.index,
      hardwareAddress,
    });
    expect(network.ip("link", "show", "second")).toMatchObject([
      { master: "br0", mtu: 1280, address: "02:00:00:00:00:07" },
    ]);
    changeLink(network.netlink, index, { masterIndex: 0 });
    expect(getLink(network.netlink, index)?.masterIndex).toBeUndefined();
    expect(network.ip("link", "show", "second")[0]).not.toHaveProperty("master");
  });

  test("moved into another namespace", () => {
    using here = freshNetwork();
    using there = freshNetwork();
    addLink(here.netlink, "wanderer");
    changeLink(here.netlink, getLink(here.netlink, "wanderer")!.index, { namespaceFd: there.fd });
    expect(getLink(here.netlink, "wanderer")).toBeUndefined();
    expect(there.ip("link", "show", "wanderer")).toMatchObject([
      { linkinfo: { info_kind: "veth" }, flags: expect.not.arrayContaining(["UP"]) },
    ]);
  });

  test("a TUN says what it is", () => {
    using network = freshNetwork();
    const { fd } = inNamespace(network.fd, () => openTun({ name: "tun7", vnetHeader: true }));
    expect(getLink(network.netlink, "tun7")).toMatchObject({
      kind: "tun",
      pointToPoint: true,
      hardwareAddress: new Uint8Array(0),
      tun: { mode: "tun", persistent: false, vnetHeader: true, ownerUserId: undefined },
    });
    closeFd(fd);
    expect(getLink(network.netlink, "tun7")).toBeUndefined();
  });

  test("a dummy, where the kernel has them", () => {
    using network = freshNetwork();
    const judged = inNamespace(network.fd, () => Bun.spawnSync(["ip", "link", "add", "judge", "type", "dummy"]));
    if (judged.exitCode === 0) {
      createDummy(network.netlink, "dummy0", { up: true });
      expect(getLink(network.netlink, "dummy0")).toMatchObject({ kind: "dummy", up: true });
    } else {
      expect(thrownBy(() => createDummy(network.netlink, "dummy0"))).toMatchObject({
        code: "EOPNOTSUPP",
        detail: "Unknown device type",
      });
    }
  });

  test("500 links are listed whole", () => {
    using network = freshNetwork();
    for (let i = 0; i < 250; i++) createVeth(network.netlink, { name: `left${i}` }, { name: `right${i}` });
    expect(listLinks(network.netlink).filter((link) => link.kind === "veth")).toHaveLength(500);
  });

  test("failures say what was tried, the errno's name, and what the kernel says", () => {
    using network = freshNetwork();
    const index = addLink(network.netlink, "taken");
    expect(thrownBy(() => createBridge(network.netlink, "taken")).message).toBe(
      "cannot create the bridge taken: file exists (EEXIST)",
    );
    const tooSmall = thrownBy(() => changeLink(network.netlink, index, { mtu: -1 }));
    expect(tooSmall).toMatchObject({ code: "EINVAL", detail: "mtu less than device minimum" });
    expect(thrownBy(() => changeLink(network.netlink, index, { masterIndex: 1 })).code).toBe("EOPNOTSUPP");
    expect(thrownBy(() => changeLink(network.netlink, 4711, { up: true })).code).toBe("ENODEV");
    expect(thrownBy(() => createBridge(network.netlink, "sixteen-letters-")).code).toBe("EINVAL");
    expect(thrownBy(() => createBridge(network.netlink, "")).code).toBe("EINVAL");
  });

  test("closing twice does no harm", () => {
    const netlink = openNetlink();
    netlink.close();
    netlink.close();
    expect(thrownBy(() => listLinks(netlink)).code).toBe("EBADF");
  });
});

describe("addresses", () => {
  /** Those of eth0 with global scope. */
  function addressesSeenByIp(network: FreshNetwork): object[] {
    const [link] = network.ip("address", "show", "dev", "eth0") as [{ addr_info: { scope: string }[] }];
    return link.addr_info.filter(({ scope }) => scope === "global");
  }

  test("of both families are added, listed and deleted", () => {
    using network = freshNetwork();
    const linkIndex = addLink(network.netlink, "eth0");
    const ipv4 = { linkIndex, address: bytesOf("192.0.2.7"), lengthBits: 24 };
    const ipv6 = { linkIndex, address: bytesOf("2001:db8::7"), lengthBits: 64, noDad: true };
    addAddress(network.netlink, ipv4);
    addAddress(network.netlink, ipv6);
    const expected = {
      peer: undefined,
      scope: SCOPE_UNIVERSE,
      tentative: false,
      duplicate: false,
      noPrefixRoute: false,
    };
    const { noDad: _, ...listedIpv6 } = ipv6;
    expect(listAddresses(network.netlink, linkIndex).filter(({ scope }) => scope !== SCOPE_LINK)).toEqual([
      { ...ipv4, ...expected },
      { ...listedIpv6, ...expected },
    ]);
    expect(listAddresses(network.netlink, 1)).toEqual([]);
    expect(addressesSeenByIp(network)).toMatchObject([
      { family: "inet", local: "192.0.2.7", prefixlen: 24 },
      { family: "inet6", local: "2001:db8::7", prefixlen: 64, nodad: true },
    ]);
    deleteAddress(network.netlink, ipv4);
    deleteAddress(network.netlink, ipv6);
    expect(addressesSeenByIp(network)).toEqual([]);
  });

  test("without a route to their prefix, and of another scope", () => {
    using network = freshNetwork();
    const linkIndex = addLink(network.netlink, "eth0");
    const address = { linkIndex, address: bytesOf("10.11.12.1"), lengthBits: 24 };
    addAddress(network.netlink, { ...address, noPrefixRoute: true, scope: SCOPE_LINK });
    expect(network.ip("route")).toEqual([]);
    expect(listAddresses(network.netlink)).toMatchObject(
      expect.arrayContaining([expect.objectContaining({ ...address, noPrefixRoute: true, scope: SCOPE_LINK })]),
    );
    expect(network.ip("-4", "address", "show", "dev", "eth0")[0]?.["addr_info"]).toMatchObject([
      { local: "10.11.12.1", scope: "link", noprefixroute: true },
    ]);
    deleteAddress(network.netlink, address);
    addAddress(network.netlink, { ...address, address: bytesOf("10.11.12.2") });
    replaceAddress(network.netlink, { ...address, address: bytesOf("10.11.12.2") });
    expect(network.ip("route")).toMatchObject([{ dst: "10.11.12.0/24", dev: "eth0" }]);
  });

  test("with another end", () => {
    using network = freshNetwork();
    addLink(network.netlink, "eth0");
    network.ip("address", "add", "10.0.0.1", "peer", "10.0.0.2/32", "dev", "eth0");
    expect(listAddresses(network.netlink).filter(({ address }) => address.length === 4)).toMatchObject([
      { address: bytesOf("10.0.0.1"), peer: bytesOf("10.0.0.2"), lengthBits: 32 },
    ]);
  });

  test("failures", () => {
    using network = freshNetwork();
    const linkIndex = addLink(network.netlink, "eth0");
    const address = { linkIndex, address: bytesOf("192.0.2.7"), lengthBits: 24 };
    addAddress(network.netlink, address);
    expect(thrownBy(() => addAddress(network.netlink, address))).toMatchObject({
      code: "EEXIST",
      operation: `add address 192.0.2.7/24 to network interface ${linkIndex}`,
    });
    expect(thrownBy(() => addAddress(network.netlink, { ...address, linkIndex: 99 })).code).toBe("ENODEV");
    deleteAddress(network.netlink, address);
    expect(thrownBy(() => deleteAddress(network.netlink, address)).code).toBe("EADDRNOTAVAIL");
    expect(() => addAddress(network.netlink, { ...address, address: new Uint8Array(5) })).toThrow(RangeError);
  });
});

test("lists and the monitor need no privilege, changes say that they do", async () => {
  const folder = mkdtempSync(join(tmpdir(), "bun-ffi-tun-"));
  try {
    const built = await Bun.build({ entrypoints: [join(import.meta.dir, "child/unprivileged.ts")], target: "bun" });
    await Bun.write(join(folder, "unprivileged.js"), await built.outputs[0]!.text());
    Bun.spawnSync(["chmod", "-R", "a+rX", folder]);
    const command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", process.execPath];
    const { stdout, stderr } = Bun.spawnSync([...command, join(folder, "unprivileged.js")], { cwd: "/" });
    expect(stderr.toString()).toBe("");
    expect(JSON.parse(stdout.toString())).toEqual({ hasLoopback: true, isMonitorQuiet: true, change: "EPERM" });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
