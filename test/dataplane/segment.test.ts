import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type SegmentChecksum, Segmenter } from "../../src/dataplane/segment.ts";
import { packetMemory } from "../../src/dataplane/segment-memory.ts";
import {
  createVirtioNetHeader,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_ECN,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
  VIRTIO_NET_HDR_GSO_UDP_L4,
  type VirtioNetHeader,
} from "../../src/wire/virtio-net.ts";
import { naiveSegmentBytes } from "../naive/segment.ts";
import {
  buildPacket,
  hasRightChecksums,
  headerLength,
  parsePacket,
  type TransportPacket,
  transportOffset,
} from "../naive/transport-packet.ts";
import {
  overIpv6,
  payloadOf,
  plainTcp,
  plainUdp,
  routedPacket,
  somePayload,
  transportPacket,
} from "./segment-arbitraries.ts";

const SEED = 20261121;
const GUARD_BYTES = 64;
const GUARD = 0xa5;

/** What the kernel writes before a packet that it leaves to be cut. */
function headerFor(packet: TransportPacket, gsoSizeBytes: number): VirtioNetHeader {
  const tcpType = packet.version === 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
  const ecn = packet.tcp && (packet.tcp.flags & 0x80) !== 0 ? VIRTIO_NET_HDR_GSO_ECN : 0;
  return {
    flags: VIRTIO_NET_HDR_F_NEEDS_CSUM,
    gsoType: packet.tcp ? tcpType | ecn : VIRTIO_NET_HDR_GSO_UDP_L4,
    headerLengthBytes: headerLength(packet),
    gsoSizeBytes,
    checksumStart: transportOffset(packet),
    checksumOffset: packet.tcp ? 16 : 6,
  };
}

interface Cut {
  readonly segments: Uint8Array[];
  readonly isPartial: boolean;
}

/** Cuts `bytes` between guards that must stay as they are; each segment is taken away before the next is made. */
function cut(bytes: Uint8Array, header: VirtioNetHeader, checksum: SegmentChecksum, misalignment = 0): Cut {
  const memory = packetMemory(new Uint8Array(GUARD_BYTES * 2 + misalignment + bytes.length).fill(GUARD));
  const offset = GUARD_BYTES + misalignment;
  memory.bytes.set(bytes, offset);
  const segmenter = new Segmenter(memory);
  const count = segmenter.begin(offset, bytes.length, header, checksum);
  const segments = Array.from({ length: count }, (_, i) => {
    segmenter.prepare(i);
    const start = segmenter.segmentOffset(i);
    return memory.bytes.slice(start, start + segmenter.segmentLength(i));
  });
  expect(memory.bytes.subarray(0, offset).every((byte) => byte === GUARD)).toBe(true);
  expect(memory.bytes.subarray(offset + bytes.length).every((byte) => byte === GUARD)).toBe(true);
  if (count === 0) expect(memory.bytes.slice(offset, offset + bytes.length)).toEqual(new Uint8Array(bytes));
  return { segments, isPartial: segmenter.checksumIsPartial };
}

const cutPacket = (packet: TransportPacket, gsoSizeBytes: number, checksum: SegmentChecksum = "complete") =>
  cut(buildPacket(packet, "pseudo-header"), headerFor(packet, gsoSizeBytes), checksum);

describe("cutting", () => {
  test("makes what the naive way makes, of every kind of header, wherever the packet lies", () => {
    fc.assert(
      fc.property(
        transportPacket(somePayload(3000)),
        fc.integer({ min: 1, max: 1500 }),
        fc.constantFrom("complete" as const, "pseudo-header" as const),
        fc.integer({ min: 0, max: 3 }),
        (packet, size, checksum, misalignment) => {
          // Small enough that headers overlap several segments, but not thousands of them.
          const gsoSizeBytes = Math.max(size % 7 === 0 ? size % 40 : size, Math.ceil(packet.payload.length / 60), 1);
          const bytes = buildPacket(packet, "pseudo-header");
          const { segments, isPartial } = cut(bytes, headerFor(packet, gsoSizeBytes), checksum, misalignment);
          expect(segments).toEqual(naiveSegmentBytes(packet, gsoSizeBytes, checksum));
          expect(isPartial).toBe(checksum === "pseudo-header");
          if (checksum === "complete") expect(segments.every(hasRightChecksums)).toBe(true);
        },
      ),
      { seed: SEED, numRuns: 400 },
    );
  });

  test("checksums are made with the destination of a routing header, as the packet's own was", () => {
    for (const packet of [overIpv6(plainTcp()), overIpv6(plainUdp())]) {
      const { routed, onItsWay } = routedPacket({ ...packet, payload: payloadOf(2500) }, new Uint8Array(16).fill(0xfd));
      for (const checksum of ["complete", "pseudo-header"] as const) {
        const { segments } = cut(onItsWay(buildPacket(routed, "pseudo-header")), headerFor(routed, 1000), checksum);
        expect(segments).toEqual(naiveSegmentBytes(routed, 1000, checksum).map(onItsWay));
      }
    }
  });

  test("a full read of 64 KiB: 48 segments that a receiver puts together again", () => {
    for (const packet of [plainTcp(), overIpv6(plainTcp()), plainUdp(), overIpv6(plainUdp())]) {
      const payload = payloadOf(65_535 - headerLength(packet) - (packet.version === 6 ? 0 : 1), 7);
      const { segments } = cutPacket({ ...packet, payload }, 1348);
      expect(segments.length).toBe(Math.ceil(payload.length / 1348));
      expect(segments.every(hasRightChecksums)).toBe(true);
      expect(Buffer.concat(segments.map((segment) => parsePacket(segment)!.payload)).equals(payload)).toBe(true);
    }
  });

  test("TCP: sequence numbers go on, over 2^32; CWR on the first, PSH and FIN on the last, ECE and ACK on all", () => {
    const packet = plainTcp({ identification: 0xffff }, { sequence: 0xffffffff - 999, flags: 0x80 | 0x40 | 0x19 });
    const segments = cutPacket(packet, 400).segments.map((segment) => parsePacket(segment)!);
    expect(segments.map(({ tcp }) => tcp!.sequence)).toEqual([0xfffffc18, 0xfffffda8, 0xffffff38]);
    expect(segments.map(({ tcp }) => tcp!.flags)).toEqual([0xd0, 0x50, 0x59]);
    expect(segments.map(({ identification }) => identification)).toEqual([0xffff, 0, 1]);
    expect(segments.map(({ payload }) => payload.length)).toEqual([400, 400, 200]);
    expect(segments.every(({ fragment, hopLimit }) => fragment === 0x4000 && hopLimit === 64)).toBe(true);
  });

  test("a GSO size that the payload does not exceed leaves one segment with all its flags", () => {
    const packet = plainTcp({}, { flags: 0x99 });
    for (const gsoSizeBytes of [1000, 1001, 65_535]) {
      expect(cutPacket(packet, gsoSizeBytes).segments).toEqual([buildPacket(packet)]);
    }
    expect(cutPacket({ ...packet, payload: new Uint8Array() }, 1000).segments.length).toBe(1);
  });

  test("a UDP checksum that comes out as 0 is sent as 0xffff", () => {
    for (const packet of [plainUdp(), overIpv6(plainUdp())]) {
      const zeros = buildPacket({ ...packet, payload: new Uint8Array(2) });
      const at = transportOffset(packet);
      // The checksum of a payload of zeros, as payload, makes the sum 0xffff.
      const payload = zeros.slice(at + 6, at + 8);
      const { segments } = cutPacket({ ...packet, payload: Uint8Array.of(...payload, ...payload) }, 2);
      for (const segment of segments) expect([segment[at + 6], segment[at + 7]]).toEqual([0xff, 0xff]);
      const whole = { ...packet, payload };
      const header = { ...headerFor(whole, 0), gsoType: 0 };
      const [completed] = cut(buildPacket(whole, "pseudo-header"), header, "complete").segments;
      expect([completed![at + 6], completed![at + 7]]).toEqual([0xff, 0xff]);
    }
  });

  test("headers by themselves, in any order and to any place, are those of the segments", () => {
    for (const packet of [plainTcp({}, { flags: 0x99 }), overIpv6(plainUdp())]) {
      const bytes = buildPacket(packet, "pseudo-header");
      const segmenter = new Segmenter(packetMemory(bytes.slice()));
      const count = segmenter.begin(0, bytes.length, headerFor(packet, 300), "complete");
      const { headerBytes } = segmenter;
      expect(headerBytes).toBe(headerLength(packet));
      const target = packetMemory(new Uint8Array(300).fill(GUARD));
      const expected = naiveSegmentBytes(packet, 300, "complete");
      for (const [index, offset] of [
        [3, 16],
        [0, 101],
        [1, 202],
      ] as const) {
        segmenter.prepareHeaders(index, target, offset);
        expect(target.bytes.slice(offset, offset + headerBytes)).toEqual(expected[index]!.slice(0, headerBytes));
        expect([target.bytes[offset - 1], target.bytes[offset + headerBytes]]).toEqual([GUARD, GUARD]);
      }
      expect(count).toBe(4);
    }
  });

  test("the length of the headers that the virtio header states is not believed", () => {
    const packet = plainTcp();
    for (const headerLengthBytes of [0, 1, 51, 0xffff]) {
      const header = { ...headerFor(packet, 400), headerLengthBytes };
      const { segments } = cut(buildPacket(packet, "pseudo-header"), header, "complete");
      expect(segments).toEqual(naiveSegmentBytes(packet, 400, "complete"));
    }
  });
});

describe("packets that stay whole", () => {
  test("a partial checksum is completed, or left for a peer that can have it so", () => {
    fc.assert(
      fc.property(transportPacket(somePayload(1500)), fc.integer({ min: 0, max: 3 }), (packet, misalignment) => {
        const header = { ...headerFor(packet, 0), gsoType: 0 };
        const partial = buildPacket(packet, "pseudo-header");
        const complete = cut(partial, header, "complete", misalignment);
        expect(complete.segments.length).toBe(1);
        expect(hasRightChecksums(complete.segments[0]!)).toBe(true);
        expect(complete.isPartial).toBe(false);
        expect(cut(partial, header, "pseudo-header", misalignment)).toEqual({ segments: [partial], isPartial: true });
      }),
      { seed: SEED, numRuns: 200 },
    );
  });

  test("without NEEDS_CSUM nothing is changed, whatever the packet is", () => {
    const packet = buildPacket(plainTcp());
    packet[9] = 47;
    for (const checksum of ["complete", "pseudo-header"] as const) {
      expect(cut(packet, createVirtioNetHeader(), checksum)).toEqual({ segments: [packet], isPartial: false });
    }
  });

  test("what a peer could not find again is completed even where it may be partial", () => {
    // An inner header's checksum, behind an outer header that is no TCP or UDP.
    const inner = plainUdp();
    const packet = buildPacket(inner, "pseudo-header");
    packet[9] = 47;
    const header = { ...headerFor(inner, 0), gsoType: 0 };
    const { segments, isPartial } = cut(packet, header, "pseudo-header");
    expect(isPartial).toBe(false);
    packet.set(buildPacket(inner).slice(26, 28), 26);
    expect(segments).toEqual([packet]);
  });

  test("what stands behind the packet is no part of it", () => {
    const packet = buildPacket(plainTcp(), "pseudo-header");
    const header = { ...headerFor(plainTcp(), 0), gsoType: 0 };
    const { segments } = cut(Uint8Array.of(...packet, 1, 2, 3), header, "complete");
    expect(segments).toEqual([buildPacket(plainTcp())]);
  });
});

describe("what does not fit together is refused", () => {
  const packet = plainTcp();
  const good = headerFor(packet, 400);
  const cases: [string, Partial<VirtioNetHeader>][] = [
    ["a GSO size of 0", { gsoSizeBytes: 0 }],
    ["checksum start past the end", { checksumStart: 5000 }],
    ["checksum start elsewhere", { checksumStart: 21 }],
    ["checksum offset elsewhere", { checksumOffset: 6 }],
    ["the other family's type", { gsoType: VIRTIO_NET_HDR_GSO_TCPV6 }],
    ["the other protocol's type", { gsoType: VIRTIO_NET_HDR_GSO_UDP_L4 }],
    ["fragmentation of UDP, which is not asked for", { gsoType: 3 }],
    ["an unknown type", { gsoType: 77 }],
    ["ECN alone", { gsoType: VIRTIO_NET_HDR_GSO_ECN }],
    ["a whole packet, checksum start past the end", { gsoType: 0, checksumStart: 1052 }],
    ["a whole packet, checksum field past the end", { gsoType: 0, checksumStart: 1040, checksumOffset: 11 }],
    ["a whole packet, checksum inside the IP header", { gsoType: 0, checksumStart: 2, checksumOffset: 0 }],
  ];
  for (const [name, change] of cases) {
    test(name, () => {
      const bytes = buildPacket(packet, "pseudo-header");
      expect(cut(bytes, good, "complete").segments.length).toBe(3);
      for (const checksum of ["complete", "pseudo-header"] as const) {
        expect(cut(bytes, { ...good, ...change }, checksum).segments).toEqual([]);
      }
    });
  }

  const packets: [string, (bytes: Uint8Array) => Uint8Array][] = [
    ["nothing", () => new Uint8Array()],
    ["no IP", (bytes) => bytes.fill(0x75, 0, 1)],
    ["a length past the end", (bytes) => bytes.slice(0, -1)],
    ["a fragment", (bytes) => bytes.fill(0x20, 6, 7)],
    ["a later fragment", (bytes) => bytes.fill(0x01, 7, 8)],
    ["another protocol", (bytes) => bytes.fill(1, 9, 10)],
    ["a TCP header shorter than any", (bytes) => bytes.fill(0x40, 32, 33)],
    ["a TCP header past the end", (bytes) => headOf(bytes, 51)],
    ["no TCP header at all", (bytes) => headOf(bytes, 20)],
  ];
  for (const [name, change] of packets) {
    test(name, () => {
      expect(cut(change(buildPacket(packet, "pseudo-header")), good, "complete").segments).toEqual([]);
    });
  }

  test("IPv6 extension headers that lead past the end, or on and on", () => {
    const longest = { type: 60, body: new Uint8Array(254) };
    const start = overIpv6(plainUdp({ extensionHeaders: [longest] }));
    expect(cutPacket(start, 400).segments.length).toBe(3);
    const past = buildPacket(start, "pseudo-header").fill(255, 41, 42);
    expect(cut(past, headerFor(start, 400), "complete").segments).toEqual([]);
    const tooMany = overIpv6(plainUdp({ extensionHeaders: [longest, longest] }));
    expect(cutPacket(tooMany, 400).segments).toEqual([]);
  });

  test("any header before any packet: no throw, no byte outside touched, whole IP packets or nothing", () => {
    const header = fc.record({
      flags: fc.constantFrom(0, 1, 2, 255),
      gsoType: fc.constantFrom(0, 1, 3, 4, 5, 0x81, 0x84, 0x85, 200),
      headerLengthBytes: fc.integer({ min: 0, max: 0xffff }),
      gsoSizeBytes: fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 0xffff })),
      checksumStart: fc.oneof(fc.constantFrom(0, 20, 40), fc.integer({ min: 0, max: 0xffff })),
      checksumOffset: fc.oneof(fc.constantFrom(0, 6, 16), fc.integer({ min: 0, max: 0xffff })),
    });
    const change = fc.record({ at: fc.integer({ min: 0, max: 80 }), value: fc.integer({ min: 0, max: 255 }) });
    fc.assert(
      fc.property(
        transportPacket(somePayload(300)),
        fc.option(header),
        fc.array(change, { maxLength: 3 }),
        fc.constantFrom("complete" as const, "pseudo-header" as const),
        (packet, virtio, changes, checksum) => {
          const bytes = buildPacket(packet, "pseudo-header");
          for (const { at, value } of changes) if (at < bytes.length) bytes[at] = value;
          for (const segment of cut(bytes, virtio ?? headerFor(packet, 100), checksum).segments) {
            expect(segment.length).toBeLessThanOrEqual(bytes.length);
            expect(segment[0]).toBe(bytes[0]!);
          }
        },
      ),
      { seed: SEED, numRuns: 2000 },
    );
  });

  test("places outside the buffer", () => {
    const memory = packetMemory(new Uint8Array(100).fill(0x45));
    const segmenter = new Segmenter(memory);
    for (const [offset, lengthBytes] of [
      [-4, 20],
      [90, 20],
      [200, 20],
      [0, 101],
    ] as const) {
      expect(segmenter.begin(offset, lengthBytes, createVirtioNetHeader(), "complete")).toBe(0);
    }
  });
});

/** The first bytes of an IPv4 packet, as a packet of that length. */
function headOf(bytes: Uint8Array, lengthBytes: number): Uint8Array {
  const head = bytes.slice(0, lengthBytes);
  head[2] = 0;
  head[3] = lengthBytes;
  return head;
}
