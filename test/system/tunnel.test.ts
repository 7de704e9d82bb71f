/** Two tunnels in this process: socketpairs for devices, UDP on loopback. */

import { expect, test } from "bun:test";
import { allocateStable, closeFd, createSocketPair, readFd, writeFd } from "bun-ffi-tun";
import { hostPrefix, parseAddress } from "../../src/base/ip.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { generateX25519PrivateKey, x25519PublicKey } from "../../src/crypto/x25519.ts";
import { Tunnel } from "../../src/daemon/tunnel.ts";
import { openUdpWire } from "../../src/daemon/udp-wire.ts";
import { encodeEchoRequest } from "../../src/wire/icmp.ts";
import { eventually } from "../lab/index.ts";

const LOOPBACK = parseAddress("127.0.0.1")!;

async function startEnd(addressText: string) {
  const [deviceFd, outsideFd] = createSocketPair("datagram");
  const wire = openUdpWire(0, 0);
  const tunnel = await Tunnel.start({ deviceFd, mtuBytes: 1420 });
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

test("a peer that begins before it is known is answered as soon as it is, not five seconds later", async () => {
  await using a = await startEnd("10.0.0.1");
  await using b = await startEnd("10.0.0.2");
  addPeer(b, a);
  const packet = encodeEchoRequest({
    source: b.address,
    destination: a.address,
    identifier: 1,
    sequence: 1,
    token: new Uint8Array(8),
    dataBytes: 16,
  });
  b.write(packet);
  await eventually("a to have dropped the initiation", () => a.tunnel.handshakeDrops().unknownPeer === 1, 2000);
  addPeer(a, b);
  const arrived = await eventually("the packet to arrive", () => a.read(), 2000);
  expect(arrived.toHex()).toBe(packet.toHex());
});
