/**
 * Each offload switched off in turn, towards a wireguard-go and towards a minitail with all of them, whose kernel counts
 * what is wrong with the packets that it gets; and what `status` says of it. Needs root.
 */

import { describe, expect, test } from "bun:test";
import {
  allocateStable,
  bindSocket,
  closeFd,
  connectSocket,
  createUdpSocket,
  IPPROTO_UDP,
  readFd,
  SO_RCVBUFFORCE,
  SOL_SOCKET,
  sendTo,
  setSocketOption,
  UDP_SEGMENT,
} from "bun-ffi-tun";
import { parseAddress } from "../../src/base/ip.ts";
import { OFFLOADS } from "../../src/dataplane/offload.ts";
import { payloadOf } from "../dataplane/segment-arbitraries.ts";
import { eventually, Lab } from "../lab/index.ts";
import { hostsOnSwitch, type MeshNode } from "./mesh-node.ts";
import { checksumErrors, startPair, type WireguardEnd, type WireguardProgram } from "./wireguard-pair.ts";

const LIMIT_MS = 60_000;
const ARRIVAL_LIMIT_MS = 10_000;
const STREAM_BYTES = 4_000_000;
const PORT = 4000;

/** The hash of a file that is sent by TCP is that of what arrives. */
async function expectStream(from: WireguardEnd, to: WireguardEnd, family: 4 | 6): Promise<void> {
  const address = family === 4 ? to.addresses[0] : `[${to.addresses[1]}]`;
  const receiving = to.host.spawn(["sh", "-c", `socat -u TCP${family}-LISTEN:9000,reuseaddr STDOUT | sha256sum`]);
  await to.host.output(["sh", "-c", "while ! ss -ltn | grep -q :9000; do :; done"]);
  const send = `head -c ${STREAM_BYTES} /dev/urandom > /run/data; socat -u FILE:/run/data TCP${family}:${address}:9000`;
  const sent = await from.host.output(["sh", "-c", `${send}; sha256sum < /run/data`]);
  await receiving.waitForExit(ARRIVAL_LIMIT_MS);
  expect(receiving.stdout).toBe(sent);
}

/** Datagrams that are sent at once (UDP_SEGMENT), which the TUN hands over uncut if it may, arrive as they are, in order. */
async function expectDatagrams(from: WireguardEnd, to: WireguardEnd, family: 4 | 6): Promise<void> {
  const index = family === 4 ? 0 : 1;
  const [near, far] = [from.addresses[index], to.addresses[index]].map((text) => parseAddress(text)!);
  const sendFd = from.host.inNetwork(() => createUdpSocket({ family }));
  const receiveFd = to.host.inNetwork(() => createUdpSocket({ family }));
  try {
    setSocketOption(receiveFd, SOL_SOCKET, SO_RCVBUFFORCE, 1 << 20);
    bindSocket(receiveFd, { address: far!, port: PORT });
    bindSocket(sendFd, { address: near!, port: PORT });
    connectSocket(sendFd, { address: far!, port: PORT });
    for (const segmentBytes of [1200, 333]) {
      setSocketOption(sendFd, IPPROTO_UDP, UDP_SEGMENT, segmentBytes);
      const sent = allocateStable(segmentBytes * 30 + 77);
      sent.bytes.set(payloadOf(sent.bytes.length, segmentBytes));
      expect(sendTo(sendFd, sent.address, sent.bytes.length, 0, 0)).toBe(sent.bytes.length);
      const buffer = allocateStable(65_536);
      const received: Uint8Array[] = [];
      const haveAll = () => {
        for (;;) {
          const lengthBytes = readFd(receiveFd, buffer.address, buffer.bytes.length);
          if (lengthBytes < 0) return received.length >= 31;
          received.push(buffer.bytes.slice(0, lengthBytes));
        }
      };
      await eventually(`31 datagrams over IPv${family}`, haveAll, ARRIVAL_LIMIT_MS);
      expect(received.map(({ length }) => length)).toEqual([...new Array<number>(30).fill(segmentBytes), 77]);
      expect(Buffer.concat(received).equals(sent.bytes)).toBe(true);
    }
  } finally {
    closeFd(sendFd);
    closeFd(receiveFd);
  }
}

const PEERS: readonly WireguardProgram[] = ["wireguard-go", "minitail"];

describe.each(PEERS)("TCP and UDP both ways between minitail and %s are whole and valid", (peer) => {
  const sets = [
    ["all offloads", OFFLOADS],
    ...OFFLOADS.map((offload) => [`without ${offload}`, OFFLOADS.filter((each) => each !== offload)] as const),
    ["none", ["none"]],
  ] as const;
  for (const [title, offloads] of sets) {
    test(
      title,
      async () => {
        await using lab = await Lab.create("offloads");
        const flags = ["--offloads", offloads.join(",")];
        const programs = ["minitail", peer] as const;
        const [a, b] = await startPair(lab, { programs, family: 4, presharedKey: false, flags });
        const inUse = title === "none" ? "none" : offloads.join(", ");
        expect(a.program.stderr).toMatch(new RegExp(`offloads: ${inUse}(;|$)`, "m"));
        for (const family of [4, 6] as const) {
          for (const [from, to] of [
            [a, b],
            [b, a],
          ] as const) {
            await expectStream(from, to, family);
            await expectDatagrams(from, to, family);
          }
        }
        for (const { host } of [a, b]) expect(await checksumErrors(host)).toEqual([0, 0, 0]);
      },
      LIMIT_MS,
    );
  }
});

test(
  "status says which offloads are in use, and why others are not; up keeps what it was told",
  async () => {
    await using lab = await Lab.create("offloads");
    const [node] = (await hostsOnSwitch(lab, ["a"])) as [MeshNode];
    const offloads = async () => {
      const { dataplane } = await node.status();
      return [dataplane!.offloads, dataplane!.offloadsOff.map(({ offload }) => offload)] as const;
    };
    await node.up("--offloads", "udp-gso,tun-tso");
    const others = OFFLOADS.filter((offload) => offload !== "tun-tso" && offload !== "udp-gso");
    expect(await offloads()).toEqual([["tun-tso", "udp-gso"], others]);
    expect(await node.output("status")).toMatch(/MTU 1280, tun-tso, udp-gso\n +tun-uso off: not wanted\n/);
    await node.output("down");
    await node.up();
    expect((await offloads())[0]).toEqual(["tun-tso", "udp-gso"]);
    await node.output("down");
    await node.up("--offloads=all");
    expect(await offloads()).toEqual([[...OFFLOADS], []]);
    await node.output("down");
    await node.up("--dataplane", "plain");
    expect(await offloads()).toEqual([[], []]);
  },
  LIMIT_MS,
);
