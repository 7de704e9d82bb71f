/**
 * Segmentation and coalescing, judged by the kernel: what one TUN hands over to be cut crosses to another TUN in
 * another network, cut, or cut and joined again. Needs root.
 */

import { describe, expect, test } from "bun:test";
import {
  addAddress,
  allocateStable,
  bindSocket,
  changeLink,
  closeFd,
  connectSocket,
  createUdpSocket,
  getLink,
  IPPROTO_UDP,
  listRoutes,
  openTun,
  PollSet,
  type Route,
  readFd,
  SO_RCVBUFFORCE,
  SOL_SOCKET,
  sendTo,
  setSocketOption,
  setTunOffload,
  TABLE_LOCAL,
  TUN_F_CSUM,
  TUN_F_TSO4,
  TUN_F_TSO6,
  TUN_F_USO4,
  TUN_F_USO6,
  UDP_SEGMENT,
  writeFd,
} from "bun-ffi-tun";
import { equalAddresses, parseAddress, parsePrefix } from "../../src/base/ip.ts";
import { Coalescer } from "../../src/dataplane/coalesce.ts";
import { type SegmentChecksum, Segmenter } from "../../src/dataplane/segment.ts";
import { packetMemory } from "../../src/dataplane/segment-memory.ts";
import {
  createVirtioNetHeader,
  decodeVirtioNetHeader,
  encodeVirtioNetHeader,
  VIRTIO_NET_HEADER_LENGTH_BYTES,
} from "../../src/wire/virtio-net.ts";
import { payloadOf, plainTcp } from "../dataplane/segment-arbitraries.ts";
import { eventually, type Host, Lab } from "../lab/index.ts";
import { buildPacket } from "../naive/transport-packet.ts";

const LIMIT_MS = 20_000;
const MTU_BYTES = 1420;
const TCP_BYTES = 6_000_000;
const PORT = 4000;
const PROGRAM = new URL("./offload-traffic-program.ts", import.meta.url).pathname;

const TSO = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
const USO = TUN_F_USO4 | TUN_F_USO6;

/** Where packets are read to: their virtio header ends at a multiple of 16. */
const READ_OFFSET = 32 - VIRTIO_NET_HEADER_LENGTH_BYTES;
/** A message around a packet in a run that was received at once. */
const STRIDE_BYTES = 16 + 1424 + 16;
const RUN_MESSAGES = 128;

interface Way {
  readonly name: string;
  readonly checksum: SegmentChecksum;
  readonly joins: boolean;
}

const WAYS: readonly Way[] = [
  { name: "cut", checksum: "complete", joins: false },
  { name: "cut and joined", checksum: "complete", joins: true },
  { name: "cut and joined, checksums left to the other kernel", checksum: "pseudo-header", joins: true },
];

/** Carries packets from one TUN to the other, as two data planes with nothing between them would. */
class Pump {
  readonly #from: number;
  readonly #to: number;
  readonly #way: Way;
  readonly #read = allocateStable(70_000);
  readonly #run = allocateStable(RUN_MESSAGES * STRIDE_BYTES);
  readonly #segmenter = new Segmenter(packetMemory(this.#read.bytes));
  readonly #coalescer = new Coalescer(packetMemory(this.#run.bytes));
  readonly #virtio = createVirtioNetHeader();
  readonly #empty = createVirtioNetHeader();
  #reads = 0;
  #writes = 0;
  largestReadBytes = 0;
  largestWriteBytes = 0;
  refused = 0;

  constructor(from: number, to: number, way: Way) {
    this.#from = from;
    this.#to = to;
    this.#way = way;
  }

  describe(): string {
    return `${this.#reads} read, ${this.#writes} written, ${this.refused} refused`;
  }

  /** Carries what is there. */
  carry(): void {
    for (let i = 0; i < 50; i++) {
      const readBytes = readFd(this.#from, this.#read.address + READ_OFFSET, 65_535 + VIRTIO_NET_HEADER_LENGTH_BYTES);
      if (readBytes < 0) return;
      this.#carryPacket(readBytes - VIRTIO_NET_HEADER_LENGTH_BYTES);
    }
  }

  #carryPacket(packetBytes: number): void {
    this.#reads += 1;
    this.largestReadBytes = Math.max(this.largestReadBytes, packetBytes);
    decodeVirtioNetHeader(this.#read.bytes, READ_OFFSET, this.#virtio);
    const offset = READ_OFFSET + VIRTIO_NET_HEADER_LENGTH_BYTES;
    const { checksum, joins } = this.#way;
    const count = this.#segmenter.begin(offset, packetBytes, this.#virtio, checksum);
    if (count === 0 || count > RUN_MESSAGES) this.refused += 1;
    for (let i = 0; i < count; i++) {
      this.#segmenter.prepare(i);
      if (joins) this.#join(i);
      else this.#writeSegment(this.#segmenter.segmentOffset(i), this.#segmenter.segmentLength(i));
    }
    if (this.#coalescer.isHolding) this.#writeHeld();
  }

  #writeSegment(offset: number, lengthBytes: number): void {
    const start = offset - VIRTIO_NET_HEADER_LENGTH_BYTES;
    encodeVirtioNetHeader(this.#empty, this.#read.bytes, start);
    this.#write(this.#read.address + start, VIRTIO_NET_HEADER_LENGTH_BYTES + lengthBytes);
  }

  #join(index: number): void {
    const start = this.#segmenter.segmentOffset(index);
    const lengthBytes = this.#segmenter.segmentLength(index);
    const segment = this.#read.bytes.subarray(start, start + lengthBytes);
    const isPartial = this.#segmenter.checksumIsPartial;
    this.#run.bytes.set(segment, this.#coalescer.place(index * STRIDE_BYTES + 16));
    if (this.#coalescer.consider(lengthBytes, isPartial)) return;
    this.#writeHeld();
    this.#coalescer.consider(lengthBytes, isPartial);
  }

  #writeHeld(): void {
    const offset = this.#coalescer.finish();
    this.#write(this.#run.address + offset, this.#coalescer.writeBytes);
  }

  #write(address: number, lengthBytes: number): void {
    this.#writes += 1;
    this.largestWriteBytes = Math.max(this.largestWriteBytes, lengthBytes);
    if (writeFd(this.#to, address, lengthBytes) !== lengthBytes) this.refused += 1;
  }
}

interface Ends {
  readonly a: Host;
  readonly b: Host;
  readonly there: Pump;
  readonly back: Pump;
  /** Carries packets both ways until `done`. */
  carryUntil(what: string, done: () => boolean): Promise<void>;
}

/** Two hosts, each with a TUN: 10.77.0.1 and .2, fd77::1 and ::2. */
async function withEnds(way: Way, use: (ends: Ends) => Promise<void>): Promise<void> {
  await using lab = await Lab.create("offload");
  const [a, b] = await Promise.all([lab.host("a"), lab.host("b")]);
  const fds = (await Promise.all([openEnd(a, 1), openEnd(b, 2)])) as [number, number];
  try {
    const there = new Pump(fds[0], fds[1], way);
    const back = new Pump(fds[1], fds[0], way);
    const polls = new PollSet();
    for (const fd of fds) polls.add(fd);
    const carryUntil = async (what: string, done: () => boolean) => {
      const limitMs = performance.now() + LIMIT_MS;
      while (!done()) {
        if (performance.now() > limitMs) {
          const seen = [there, back].map((pump) => pump.describe()).join(", back: ");
          throw new Error(`waited ${LIMIT_MS} ms for ${what}; there: ${seen}`);
        }
        polls.wait(5);
        there.carry();
        back.carry();
        await Bun.sleep(0);
      }
    };
    await use({ a, b, there, back, carryUntil });
    expect([there.refused, back.refused]).toEqual([0, 0]);
    for (const host of [a, b]) expect(await badPackets(host)).toEqual({});
  } finally {
    for (const fd of fds) closeFd(fd);
  }
}

async function openEnd(host: Host, number: number): Promise<number> {
  const { fd, name } = host.inNetwork(() => openTun({ name: "tun0", vnetHeader: true }));
  setTunOffload(fd, TSO | USO);
  const { index } = getLink(host.netlink, name)!;
  changeLink(host.netlink, index, { mtu: MTU_BYTES, up: true });
  for (const prefix of [`10.77.0.${number}/24`, `fd77::${number}/64`]) {
    const { address, lengthBits } = parsePrefix(prefix)!;
    addAddress(host.netlink, { linkIndex: index, address, lengthBits, noDad: true });
    // The kernel gives an IPv6 address its own route a moment later, and takes no packet for it until then.
    const isOwn = (route: Route) => equalAddresses(route.destination.address, address);
    const isUsable = () => listRoutes(host.netlink, { table: TABLE_LOCAL }).some(isOwn);
    await eventually(`${host.name} to be reachable by ${prefix}`, isUsable, LIMIT_MS);
  }
  return fd;
}

/** The counters of wrong checksums and headers that are not 0. */
async function badPackets(host: Host): Promise<Record<string, number>> {
  const text = await host.output(["cat", "/proc/net/snmp", "/proc/net/snmp6"]);
  const counters: [string, number][] = [];
  let names: string[] = [];
  for (const line of text.trim().split("\n")) {
    const [title, ...values] = line.split(/\s+/) as [string, ...string[]];
    if (!title.endsWith(":")) counters.push([title, Number(values[0])]);
    else if (Number.isNaN(Number(values[0]))) names = values.map((name) => title.slice(0, -1) + name);
    else counters.push(...values.map((value, i): [string, number] => [names[i]!, Number(value)]));
  }
  const watched = counters.filter(([name]) =>
    /CsumErrors|InHdrErrors|InTruncatedPkts|TcpInErrs|UdpInErrors/.test(name),
  );
  expect(watched.map(([name]) => name)).toEqual(expect.arrayContaining(["TcpInCsumErrors", "Udp6InCsumErrors"]));
  return Object.fromEntries(watched.filter(([, count]) => count !== 0));
}

const FAMILIES = [
  { family: 4 as const, server: "10.77.0.2", client: "10.77.0.1", headerBytes: 28 },
  { family: 6 as const, server: "fd77::2", client: "fd77::1", headerBytes: 48 },
];

for (const way of WAYS) {
  describe(way.name, () => {
    for (const { family, server, client, headerBytes } of FAMILIES) {
      test(`a TCP stream over IPv${family} arrives whole`, async () => {
        await withEnds(way, async ({ a, b, there, carryUntil }) => {
          const listening = b.spawn([process.execPath, PROGRAM, "server", server, String(PORT)]);
          await listening.waitForOutput(/listening/, LIMIT_MS);
          const sending = a.spawn([process.execPath, PROGRAM, "client", server, String(PORT), String(TCP_BYTES)]);
          await carryUntil("both ends to end", () => listening.exit !== undefined && sending.exit !== undefined);
          const sha256 = new Bun.CryptoHasher("sha256").update(payloadOf(TCP_BYTES)).digest("hex");
          expect(JSON.parse(listening.stdout.split("\n")[1] ?? "{}")).toEqual({ lengthBytes: TCP_BYTES, sha256 });
          expect(there.largestReadBytes).toBeGreaterThan(30_000);
          if (way.joins) expect(there.largestWriteBytes).toBeGreaterThan(30_000);
          else expect(there.largestWriteBytes).toBeLessThanOrEqual(VIRTIO_NET_HEADER_LENGTH_BYTES + MTU_BYTES);
        });
      });

      test(`UDP datagrams that were sent at once over IPv${family} arrive, each by itself`, async () => {
        await withEnds(way, async ({ a, b, there, carryUntil }) => {
          const [from, to] = [a, b].map((host) => host.inNetwork(() => createUdpSocket({ family }))) as [
            number,
            number,
          ];
          try {
            bindSocket(from, { address: parseAddress(client)!, port: PORT });
            bindSocket(to, { address: parseAddress(server)!, port: PORT });
            connectSocket(from, { address: parseAddress(server)!, port: PORT });
            setSocketOption(to, SOL_SOCKET, SO_RCVBUFFORCE, 1 << 20);
            // Even and odd sizes: the second leads headers to places that are no word's.
            for (const segmentBytes of [1200, 333]) {
              const sent = allocateStable(segmentBytes * 40 + 77);
              sent.bytes.set(payloadOf(sent.bytes.length, segmentBytes));
              setSocketOption(from, IPPROTO_UDP, UDP_SEGMENT, segmentBytes);
              expect(sendTo(from, sent.address, sent.bytes.length, 0, 0)).toBe(sent.bytes.length);
              const buffer = allocateStable(65_536);
              const received: Uint8Array[] = [];
              await carryUntil("41 datagrams", () => {
                for (;;) {
                  const lengthBytes = readFd(to, buffer.address, buffer.bytes.length);
                  if (lengthBytes < 0) return received.length >= 41;
                  received.push(buffer.bytes.slice(0, lengthBytes));
                }
              });
              expect(received.map(({ length }) => length)).toEqual([...new Array<number>(40).fill(segmentBytes), 77]);
              expect(Buffer.concat(received).equals(sent.bytes)).toBe(true);
              expect(there.largestReadBytes).toBeGreaterThanOrEqual(sent.bytes.length + headerBytes);
              if (way.joins) expect(there.largestWriteBytes).toBeGreaterThanOrEqual(sent.bytes.length + headerBytes);
            }
          } finally {
            closeFd(from);
            closeFd(to);
          }
        });
      });
    }
  });
}

test("the judge does judge: a wrong checksum is counted", async () => {
  await using lab = await Lab.create("offload");
  const host = await lab.host("b");
  const fd = await openEnd(host, 2);
  try {
    expect(await badPackets(host)).toEqual({});
    const packet = plainTcp({ source: parseAddress("10.77.0.1")!, destination: parseAddress("10.77.0.2")! });
    const bytes = new Uint8Array([...new Uint8Array(VIRTIO_NET_HEADER_LENGTH_BYTES), ...buildPacket(packet)]);
    bytes[bytes.length - 1]! ^= 1;
    expect(writeFd(fd, bytes, bytes.length)).toBe(bytes.length);
    expect(await badPackets(host)).toEqual({ TcpInErrs: 1, TcpInCsumErrors: 1 });
  } finally {
    closeFd(fd);
  }
});
