/** A router between two members that drops large packets and says nothing. Needs root. */

import { expect, test } from "bun:test";
import { eventually, type Host, Lab } from "../lab/index.ts";
import { MeshNode } from "./mesh-node.ts";

const LIMIT_MS = 60_000;
const STREAM_LIMIT_MS = 15_000;
const STREAM_BYTES = 5_000_000;
const PORT = 9000;

/** Drops what is larger than this and says nothing. TCP outside passes, as with routers of homes: machines have to meet. */
const blackHole = (largestBytes: number) => `
  table inet hole {
    chain forward {
      type filter hook forward priority filter
      tcp flags syn tcp option maxseg size set 1200
      meta length > ${largestBytes} drop
    }
  }`;

/** a and b with a router between them. All links have an MTU of 1500. */
async function throughBlackHole(lab: Lab, largestBytes: number) {
  const router = await lab.router("r", { kind: "open" });
  await router.output(["nft", "-f", "-"], { stdin: blackHole(largestBytes) });
  const hosts = await Promise.all([lab.host("a"), lab.host("b")]);
  for (const [host, network] of [
    [hosts[0], "192.0.2"],
    [hosts[1], "198.51.100"],
  ] as const) {
    const gateway = `${network}.254`;
    host.connect(router, { address: `${network}.1/24`, gateway, peer: { address: `${gateway}/24` } });
    // Runs of packets are cut before they leave, as by network cards.
    await host.output(["ip", "link", "set", "eth0", "gso_max_segs", "1"]);
  }
  return { router, nodes: hosts.map((host) => new MeshNode(host)) as [MeshNode, MeshNode] };
}

/** Sends a stream to `address`. It arrives whole. */
async function expectStream(from: Host, to: Host, address: string): Promise<void> {
  const family = address.includes(":") ? 6 : 4;
  const listen = `TCP${family}-LISTEN:${PORT},reuseaddr`;
  const receiving = to.spawn(["sh", "-c", `socat -u ${listen} STDOUT | sha256sum`]);
  await eventually("a listener", async () => (await to.output(["ss", "-ltn"])).includes(`:${PORT}`), STREAM_LIMIT_MS);
  await from.output(["sh", "-c", `head -c ${STREAM_BYTES} /dev/urandom > /run/data`]);
  const destination = family === 6 ? `[${address}]` : address;
  const sending = from.spawn(["socat", "-u", "FILE:/run/data", `TCP${family}:${destination}:${PORT}`]);
  await sending.waitForExit(STREAM_LIMIT_MS);
  await receiving.waitForExit(STREAM_LIMIT_MS);
  expect(receiving.stdout).toBe(await from.output(["sh", "-c", "sha256sum < /run/data"]));
}

async function pathMtu(node: MeshNode): Promise<number | null> {
  return (await node.status()).peers[0]!.path.mtu;
}

for (const dataPlane of ["fast", "plain"]) {
  test(
    `the ${dataPlane} way: streams fit through a router that takes 1380 bytes and says nothing, and grow again when it takes more`,
    async () => {
      await using lab = await Lab.create("black-hole");
      const { router, nodes } = await throughBlackHole(lab, 1380);
      const [a, b] = nodes;
      const flags = ["--mtu", "1420", "--dataplane", dataPlane];
      await a.up("--pool", "10.11.12.0/24", ...flags);
      await b.up("--join", await a.createKey(), ...flags);
      const [ipv4, ipv6] = (await b.output("ip")).trim().split("\n");
      await expectStream(a.host, b.host, ipv4!);
      expect(await pathMtu(a)).toBe(1312);
      await expectStream(a.host, b.host, ipv6!);
      await expectStream(b.host, a.host, (await a.output("ip", "-6")).trim());
      expect(await pathMtu(b)).toBe(1312);
      expect(a.process!.stderr).toContain("packets larger than 1312 bytes get lost on the way to b");

      await router.output(["nft", "delete", "table", "inet", "hole"]);
      // A change of the machine's network has them try again before ten minutes have passed.
      a.host.cables[0]!.near.setAddresses({ address: "192.0.2.2/24", gateway: "192.0.2.254" });
      await eventually("both to know", async () => (await pathMtu(a)) === null && (await pathMtu(b)) === null, 10_000);
      await expectStream(b.host, a.host, (await a.output("ip", "-4")).trim());
    },
    LIMIT_MS,
  );
}

test(
  "the default MTU finds its way through a router that takes 1300 bytes and says nothing",
  async () => {
    await using lab = await Lab.create("black-hole");
    const [a, b] = (await throughBlackHole(lab, 1300)).nodes;
    await a.up("--pool", "10.11.12.0/24");
    await b.up("--join", await a.createKey());
    await expectStream(a.host, b.host, (await b.output("ip", "-4")).trim());
    expect(await pathMtu(a)).toBe(1232);
    expect(await a.output("status")).toContain(", MTU 1232");
  },
  LIMIT_MS,
);
