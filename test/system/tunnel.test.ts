/** Two tunnels in this process: socketpairs for devices, UDP on loopback. */

import { describe, expect, test } from "bun:test";
import { allocateStable, closeFd, createSocketPair, ERRNO, readFd, writeFd } from "bun-ffi-tun";
import { equalBytes } from "../../src/base/bytes.ts";
import { type Endpoint, hostPrefix, parseAddress } from "../../src/base/ip.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { generateX25519PrivateKey, x25519PublicKey } from "../../src/crypto/x25519.ts";
import { Tunnel, type TunnelOptions } from "../../src/daemon/tunnel.ts";
import { openUdpWire } from "../../src/daemon/udp-wire.ts";
import { encodeEchoRequest, ICMP_ECHO_REPLY } from "../../src/wire/icmp.ts";
import { IPV4_HEADER_LENGTH_BYTES } from "../../src/wire/ip.ts";
import { eventually } from "../lab/index.ts";

const LOOPBACK = parseAddress("127.0.0.1")!;

async function startEnd(addressText: string, options: Partial<TunnelOptions> = {}) {
  const [deviceFd, outsideFd] = createSocketPair("datagram");
  const wire = openUdpWire(0, 0);
  const tunnel = await Tunnel.start({ deviceFd, mtuBytes: 1420, ...options });
  tunnel.setWire(wire.fd);
  const privateKey = generateX25519PrivateKey(systemRandom);
  tunnel.configure({ privateKey });
  const memory = allocateStable(65_536);
  return {
    tunnel,
    wire,
    address: parseAddress(addressText)!,
    publicKey: x25519PublicKey(privateKey),
    write: (packet: Uint8Array) => writeFd(outsideFd, packet.slice(), packet.length),
    read: () => {
      const lengthBytes = readFd(outsideFd, memory.address, memory.bytes.length);
      return lengthBytes > 0 ? memory.bytes.slice(0, lengthBytes) : undefined;
    },
    async [Symbol.asyncDispose]() {
      await tunnel.stop();
      wire.close();
      closeFd(deviceFd);
      closeFd(outsideFd);
    },
  };
}

type End = Awaited<ReturnType<typeof startEnd>>;

function addPeer(end: End, peer: End): void {
  const endpoint = { address: LOOPBACK, port: peer.wire.port };
  const allowedIps = [{ prefix: hostPrefix(peer.address) }];
  end.tunnel.configure({ peers: [{ publicKey: peer.publicKey, endpoint, allowedIps }] });
}

function echo(from: End, to: End): Uint8Array {
  return encodeEchoRequest({
    source: from.address,
    destination: to.address,
    identifier: 1,
    sequence: 1,
    token: new Uint8Array(8),
    dataBytes: 16,
  });
}

test("peers that begin before they are known are answered as soon as each is, not five seconds later", async () => {
  await using a = await startEnd("10.0.0.1");
  await using b = await startEnd("10.0.0.2");
  await using c = await startEnd("10.0.0.3");
  for (const peer of [b, c]) {
    addPeer(peer, a);
    peer.write(echo(peer, a));
  }
  await eventually("a to have dropped both initiations", () => a.tunnel.handshakeDrops().unknownPeer === 2, 2000);
  for (const peer of [b, c]) {
    addPeer(a, peer);
    const arrived = await eventually("the packet to arrive", () => a.read(), 2000);
    expect(arrived.toHex()).toBe(echo(peer, a).toHex());
    const slot = a.tunnel.snapshot().peers.find(({ publicKey }) => equalBytes(publicKey, peer.publicKey))!.slot;
    const counted = () => [peer.tunnel.traffic(0).txBytes, a.tunnel.traffic(slot).rxBytes];
    await eventually("all bytes to be counted", () => new Set(counted()).size === 1, 1000);
  }
});

describe("an address inside the tunnel", () => {
  const INSIDE = parseAddress("::1")!;

  test("is no endpoint of a peer that sends from there", async () => {
    let replies = 0;
    const onEvent: TunnelOptions["onEvent"] = ({ type }) => {
      if (type === "echo-reply") replies++;
    };
    await using a = await startEnd("10.0.0.1", { onEvent });
    await using b = await startEnd("10.0.0.2");
    a.tunnel.setInsidePrefixes([hostPrefix(INSIDE)]);
    addPeer(a, b);
    addPeer(b, a);
    b.write(echo(b, a));
    await eventually("the packet to arrive", () => a.read(), 2000);
    const outside = a.tunnel.snapshot().peers[0]!.endpoint!;
    expect(outside.address).toEqual(LOOPBACK);
    b.tunnel.configure({ peers: [{ publicKey: a.publicKey, endpoint: { address: INSIDE, port: a.wire.port } }] });
    // What rx reports comes in order: with the reply, the report of its source has been heard.
    const reply = echo(b, a);
    reply[IPV4_HEADER_LENGTH_BYTES] = ICMP_ECHO_REPLY;
    b.write(reply);
    await eventually("the reply to arrive", () => replies > 0, 2000);
    expect(a.tunnel.snapshot().peers[0]!.endpoint).toEqual(outside);
  });

  test("is not tried, plain or mapped, where a peer says that it is there", async () => {
    const received: string[] = [];
    const listen = (name: string, hostname: string) =>
      Bun.udpSocket({ hostname, socket: { data: () => void received.push(name) } });
    const inside = await listen("inside", "::1");
    const mapped = await listen("mapped", "127.0.0.2");
    const outside = await listen("outside", "127.0.0.1");
    const endpoints: Endpoint[] = [
      { address: INSIDE, port: inside.port },
      { address: parseAddress("::ffff:127.0.0.2")!, port: mapped.port },
      { address: LOOPBACK, port: outside.port },
    ];
    await using a = await startEnd("10.0.0.1", { chooseEndpoints: () => endpoints });
    await using b = await startEnd("10.0.0.2");
    a.tunnel.setInsidePrefixes([hostPrefix(INSIDE), hostPrefix(parseAddress("127.0.0.2")!)]);
    addPeer(a, b);
    a.write(echo(a, b));
    await eventually("the initiation", () => received.length > 0, 2000);
    expect(received).toEqual(["outside"]);
    for (const socket of [inside, mapped, outside]) socket.close();
  });

  test("a refusal is told by the tunnel, and one that the path explains is none", async () => {
    let pathMtuBytes = 1500;
    await using a = await startEnd("10.0.0.1", { way: "plain", pathMtuTo: () => pathMtuBytes });
    await using b = await startEnd("10.0.0.2");
    addPeer(a, b);
    const { slot } = a.tunnel.snapshot().peers[0]!;
    a.tunnel.handleEvent({ type: "path-narrow", slot, errno: ERRNO.EINVAL });
    const off = { offload: "udp-gso", reason: "the kernel refused it: EINVAL", slot } as const;
    expect(a.tunnel.offloadsOff).toEqual([off]);
    pathMtuBytes = 1280;
    a.tunnel.handleEvent({ type: "path-narrow", slot, errno: ERRNO.EINVAL });
    expect(a.tunnel.offloadsOff).toEqual([]);
    a.tunnel.handleEvent({ type: "offload-refused", offload: "udp-gso", errno: ERRNO.EIO, slot });
    expect(a.tunnel.offloadsOff).toHaveLength(1);
    a.tunnel.handleEvent({ type: "network-changed" });
    expect(a.tunnel.offloadsOff).toEqual([]);
  });
});
