import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Coalescer } from "../../src/dataplane/coalesce.ts";
import { packetMemory } from "../../src/dataplane/segment-memory.ts";
import { ipPacketLength } from "../../src/wire/ip.ts";
import {
  createVirtioNetHeader,
  decodeVirtioNetHeader,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
  VIRTIO_NET_HDR_GSO_UDP_L4,
  VIRTIO_NET_HEADER_LENGTH_BYTES,
  type VirtioNetHeader,
} from "../../src/wire/virtio-net.ts";
import { naiveGroups, naiveJoined } from "../naive/coalesce.ts";
import { naiveSegmentBytes, naiveSegments } from "../naive/segment.ts";
import {
  buildPacket,
  headerLength,
  parsePacket,
  type TcpFields,
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

/** Before and behind the plaintext in a message: a header and a tag. */
const MESSAGE_HEADER_BYTES = 16;
const MESSAGE_TAG_BYTES = 16;

interface Arrival {
  readonly bytes: Uint8Array;
  readonly isPartial?: boolean;
  /** It opens to this, and is then found not to be for the device. */
  readonly isRefused?: boolean;
}

interface Written {
  readonly header: VirtioNetHeader;
  readonly packet: Uint8Array;
}

/** A run of messages in one buffer, as UDP_GRO hands it over, opened and written by the protocol of coalesce.ts. */
function run(arrivals: readonly Arrival[], padToBytes = 16): Written[] {
  const longestBytes = Math.max(...arrivals.map(({ bytes }) => bytes.length));
  const plaintextBytes = Math.ceil(longestBytes / padToBytes) * padToBytes;
  const strideBytes = MESSAGE_HEADER_BYTES + plaintextBytes + MESSAGE_TAG_BYTES;
  const memory = packetMemory(new Uint8Array(2 * GUARD_BYTES + arrivals.length * strideBytes).fill(GUARD));
  const coalescer = new Coalescer(memory);
  const written: Written[] = [];
  const write = () => {
    const offset = coalescer.finish();
    const header = createVirtioNetHeader();
    decodeVirtioNetHeader(memory.bytes, offset, header);
    const end = offset + coalescer.writeBytes;
    written.push({ header, packet: memory.bytes.slice(offset + VIRTIO_NET_HEADER_LENGTH_BYTES, end) });
  };
  for (const [i, { bytes, isPartial = false, isRefused = false }] of arrivals.entries()) {
    const sealedOffset = GUARD_BYTES + i * strideBytes + MESSAGE_HEADER_BYTES;
    const at = coalescer.place(sealedOffset);
    expect(at).toBeLessThanOrEqual(sealedOffset);
    memory.bytes.set(bytes, at);
    memory.bytes.fill(0, at + bytes.length, at + plaintextBytes);
    if (isRefused) {
      coalescer.putBack();
      continue;
    }
    if (coalescer.consider(bytes.length, isPartial)) continue;
    write();
    expect(coalescer.isHolding).toBe(false);
    expect(coalescer.consider(bytes.length, isPartial)).toBe(true);
  }
  if (coalescer.isHolding) write();
  const end = GUARD_BYTES + arrivals.length * strideBytes;
  expect(memory.bytes.subarray(0, GUARD_BYTES).every((byte) => byte === GUARD)).toBe(true);
  expect(memory.bytes.subarray(end).every((byte) => byte === GUARD)).toBe(true);
  return written;
}

const runBytes = (packets: readonly Uint8Array[]) => run(packets.map((bytes) => ({ bytes })));
const runPackets = (packets: readonly TransportPacket[]) => runBytes(packets.map((packet) => buildPacket(packet)));

/** What is to be written for packets that were joined. */
function joinedHeader(packet: TransportPacket, gsoSizeBytes: number): VirtioNetHeader {
  const tcpType = packet.version === 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
  return {
    flags: VIRTIO_NET_HDR_F_NEEDS_CSUM,
    gsoType: packet.tcp ? tcpType : VIRTIO_NET_HDR_GSO_UDP_L4,
    headerLengthBytes: headerLength(packet),
    gsoSizeBytes,
    checksumStart: transportOffset(packet),
    checksumOffset: packet.tcp ? 16 : 6,
  };
}

const joined = (packet: TransportPacket, gsoSizeBytes: number): Written => ({
  header: joinedHeader(packet, gsoSizeBytes),
  packet: buildPacket(packet, "pseudo-header"),
});
const alone = (packet: Uint8Array): Written => ({ header: createVirtioNetHeader(), packet });

/** `naiveGroups`, as it is written. */
function naiveWrites(packets: readonly Uint8Array[], partial?: ReadonlySet<number>): Written[] {
  return naiveGroups(packets, partial).map((group) => {
    if (group.length === 1) return alone(group[0]!);
    return joined(naiveJoined(group), parsePacket(group[0]!)!.payload.length);
  });
}

describe("joining", () => {
  test("puts together what was cut, of every kind of header that may be", () => {
    fc.assert(
      fc.property(transportPacket(somePayload(3000)), fc.integer({ min: 1, max: 1400 }), (drawn, size) => {
        const flags = (drawn.tcp?.flags ?? 0) & ~0xa6;
        const packet = { ...drawn, ipOptions: new Uint8Array(), tcp: drawn.tcp && { ...drawn.tcp, flags } };
        const gsoSizeBytes = Math.max(size, Math.ceil(packet.payload.length / 60), 1);
        fc.pre(packet.payload.length > gsoSizeBytes);
        const written = runBytes(naiveSegmentBytes(packet, gsoSizeBytes, "complete"));
        expect(written).toEqual([joined(packet, gsoSizeBytes)]);
      }),
      { seed: SEED, numRuns: 300 },
    );
  });

  test("makes what the naive way makes of flows that meet, end, change and are cut short", () => {
    const flow = fc.record({
      kind: fc.constantFrom(plainTcp, plainUdp),
      isIpv6: fc.boolean(),
      port: fc.constantFrom(1, 2),
      payloadBytes: fc.integer({ min: 1, max: 600 }),
      gsoSizeBytes: fc.constantFrom(40, 61, 100, 2),
      flags: fc.constantFrom(0x10, 0x10, 0x18, 0x90, 0x50, 0x11, 0x12, 0x14, 0x30),
    });
    const change = fc.record({ at: fc.integer({ min: 0, max: 90 }), bit: fc.integer({ min: 0, max: 7 }) });
    const step = fc.record({
      flow: fc.nat(5),
      take: fc.integer({ min: 1, max: 6 }),
      change: fc.option(change, { freq: 8 }),
    });
    fc.assert(
      fc.property(fc.array(flow, { minLength: 1, maxLength: 3 }), fc.array(step, { maxLength: 20 }), (flows, steps) => {
        const queues = flows.map(({ kind, isIpv6, port, payloadBytes, gsoSizeBytes, flags }) => {
          const base = kind({ sourcePort: port, payload: payloadOf(Math.min(payloadBytes, gsoSizeBytes * 40), port) });
          const packet = { ...base, tcp: base.tcp && { ...base.tcp, flags } };
          return naiveSegmentBytes(isIpv6 ? overIpv6(packet) : packet, gsoSizeBytes, "complete");
        });
        const packets: Uint8Array[] = [];
        for (const { flow: number, take, change: changed } of steps) {
          for (const bytes of queues[number % queues.length]!.splice(0, take)) {
            if (changed && changed.at < bytes.length) bytes[changed.at]! ^= 1 << changed.bit;
            if (ipPacketLength(bytes, 0, bytes.length) === bytes.length) packets.push(bytes);
          }
        }
        fc.pre(packets.length > 0);
        expect(runBytes(packets)).toEqual(naiveWrites(packets));
      }),
      { seed: SEED, numRuns: 1500 },
    );
  }, 30_000);

  test("random interleavings: cut again, the writes are the packets, all of them and in their order", () => {
    const kinds = [plainTcp(), plainTcp({ sourcePort: 7 }), plainUdp(), overIpv6(plainTcp()), overIpv6(plainUdp())];
    const flows = kinds.map((packet) =>
      naiveSegmentBytes({ ...packet, payload: payloadOf(100 * 30 * 6, 3) }, 100, "complete"),
    );
    fc.assert(
      fc.property(
        fc.array(fc.nat(flows.length - 1), { minLength: 1, maxLength: 60 }),
        fc.nat(8),
        (order, runLength) => {
          const queues = flows.map((packets) => [...packets]);
          const packets = order.flatMap((number) => queues[number]!.splice(0, 1 + runLength));
          const writes = runBytes(packets);
          const cutAgain = writes.flatMap(({ header, packet }) =>
            header.gsoType === 0 ? [packet] : naiveSegmentBytes(parsePacket(packet)!, header.gsoSizeBytes, "complete"),
          );
          expect(cutAgain).toEqual(packets);
          expect(writes.length).toBeLessThanOrEqual(order.length + Math.floor(packets.length / 64));
        },
      ),
      { seed: SEED, numRuns: 100 },
    );
  });

  test("up to 65,535 bytes, and not one more", () => {
    const packet = plainTcp({ payload: payloadOf(70_000) });
    const [first, second] = runBytes(naiveSegmentBytes(packet, 1368, "complete"));
    expect(first!.packet.length).toBe(52 + 47 * 1368);
    expect(parsePacket(second!.packet)!.payload.length).toBe(70_000 - 47 * 1368);
    const exact = plainTcp({ payload: payloadOf(65_535 - 52) });
    expect(runBytes(naiveSegmentBytes(exact, 65_483 / 11, "complete"))).toEqual([joined(exact, 65_483 / 11)]);
  });

  test("at most 64 datagrams", () => {
    const packet = plainUdp({ payload: payloadOf(1000) });
    const written = runBytes(naiveSegmentBytes(packet, 10, "complete"));
    expect(written.map(({ packet: { length } }) => length)).toEqual([28 + 640, 28 + 360]);
  });
});

describe("which packets join", () => {
  /** Two segments of one packet, the second changed. */
  function pair(packet: TransportPacket, change: Partial<TransportPacket>, tcp?: Partial<TcpFields>): Uint8Array[] {
    const [first, second] = naiveSegments(packet, packet.payload.length / 2) as [TransportPacket, TransportPacket];
    const changed = { ...second, ...change, tcp: second.tcp && { ...second.tcp, ...tcp } };
    return [buildPacket(first), buildPacket(changed)];
  }
  const writesOf = (...arguments_: Parameters<typeof pair>) => runBytes(pair(...arguments_)).length;

  const different: [string, Partial<TransportPacket>][] = [
    ["source", { source: Uint8Array.of(10, 0, 0, 9) }],
    ["destination", { destination: Uint8Array.of(10, 0, 0, 9) }],
    ["source port", { sourcePort: 1 }],
    ["destination port", { destinationPort: 1 }],
    ["TOS", { trafficClass: 2 }],
    ["TTL", { hopLimit: 63 }],
    ["DF", { fragment: 0 }],
    ["identification that skips", { identification: 102 }],
    ["a longer payload", { payload: payloadOf(501) }],
    ["no payload", { payload: new Uint8Array() }],
    ["IP options", { ipOptions: Uint8Array.of(1, 1, 1, 1) }],
  ];
  for (const [name, change] of different) {
    test(`different ${name}: apart`, () => {
      for (const packet of [plainTcp(), plainUdp()]) {
        expect(writesOf(packet, {})).toBe(1);
        expect(writesOf(packet, change)).toBe(2);
      }
    });
  }

  const differentIpv6: [string, Partial<TransportPacket>][] = [
    ["flow label", { flowLabel: 1 }],
    ["traffic class", { trafficClass: 1 }],
    ["hop limit", { hopLimit: 1 }],
    ["extension header", { extensionHeaders: [{ type: 60, body: Uint8Array.of(1, 4, 0, 0, 0, 1) }] }],
  ];
  for (const [name, change] of differentIpv6) {
    test(`different ${name}: apart`, () => {
      const extensionHeaders = [{ type: 60, body: Uint8Array.of(1, 4, 0, 0, 0, 0) }];
      for (const packet of [overIpv6(plainTcp({ extensionHeaders })), overIpv6(plainUdp({ extensionHeaders }))]) {
        expect(writesOf(packet, {})).toBe(1);
        expect(writesOf(packet, change)).toBe(2);
      }
    });
  }

  const differentTcp: [string, Partial<TcpFields>][] = [
    ["sequence number behind", { sequence: 1499 }],
    ["sequence number ahead", { sequence: 1501 }],
    ["acknowledgement", { acknowledgement: 2001 }],
    ["window", { window: 513 }],
    ["timestamp", { options: Uint8Array.of(1, 1, 8, 10, 0, 0, 0, 2, 0, 0, 0, 2) }],
    ["options", { options: new Uint8Array() }],
    ["ECE", { flags: 0x50 }],
    ["CWR", { flags: 0x90 }],
    ["AE", { reserved: 1 }],
    ["URG", { flags: 0x30 }],
    ["RST", { flags: 0x14 }],
    ["SYN", { flags: 0x12 }],
    ["no ACK", { flags: 0 }],
  ];
  for (const [name, tcp] of differentTcp) {
    test(`different ${name}: apart`, () => {
      expect(writesOf(plainTcp(), {}, tcp)).toBe(2);
      expect(writesOf(overIpv6(plainTcp()), {}, tcp)).toBe(2);
    });
  }

  test("PSH and FIN join as the last, and nothing joins them", () => {
    for (const flags of [0x18, 0x11, 0x19]) {
      const segments = naiveSegments(plainTcp(), 250);
      const packets = segments.map((packet, i) => (i === 2 ? { ...packet, tcp: { ...packet.tcp!, flags } } : packet));
      const [first, second] = runPackets(packets) as [Written, Written];
      expect(first).toEqual(joined(plainTcp({ payload: plainTcp().payload.slice(0, 750) }, { flags }), 250));
      expect(second).toEqual(alone(buildPacket(segments[3]!)));
    }
  });

  test("CWR stands alone: kernels differ in what they make of it", () => {
    for (const [first, second] of [
      [0x90, 0x10],
      [0x10, 0x90],
      [0x90, 0x90],
    ]) {
      const packets = naiveSegments(plainTcp(), 500);
      const bytes = packets.map((packet, i) =>
        buildPacket({ ...packet, tcp: { ...packet.tcp!, flags: i === 0 ? first! : second! } }),
      );
      expect(runBytes(bytes)).toEqual(bytes.map(alone));
    }
  });

  test("a wrong checksum of TCP or UDP stays alone, as it came, and right ones around it join", () => {
    for (const packet of [plainTcp(), plainUdp(), overIpv6(plainTcp()), overIpv6(plainUdp())]) {
      const whole = naiveSegmentBytes({ ...packet, payload: payloadOf(1001) }, 143, "complete");
      for (const spoilt of whole.keys()) {
        for (const at of [headerLength(packet) - 1, headerLength(packet), whole[spoilt]!.length - 1]) {
          const packets = whole.map((bytes) => bytes.slice());
          packets[spoilt]![at]! ^= 0x10;
          const writes = runBytes(packets);
          expect(writes).toEqual(naiveWrites(packets));
          expect(writes).toContainEqual(alone(packets[spoilt]!));
        }
      }
    }
  });

  test("nothing joins a first packet with PSH, FIN, SYN, RST or URG, or a pure acknowledgement", () => {
    for (const flags of [0x18, 0x11, 0x12, 0x14, 0x30]) {
      const packets = naiveSegments(plainTcp({}, { flags: 0x10 }), 500);
      packets[0] = { ...packets[0]!, tcp: { ...packets[0]!.tcp!, flags } };
      packets[1] = { ...packets[1]!, tcp: { ...packets[1]!.tcp!, flags } };
      expect(runPackets(packets).length).toBe(2);
    }
    const acknowledgement = plainTcp({ payload: new Uint8Array() });
    expect(runPackets([acknowledgement, acknowledgement])).toEqual(
      [acknowledgement, acknowledgement].map((packet) => alone(buildPacket(packet))),
    );
  });

  test("nothing joins behind a shorter one", () => {
    const segments = naiveSegments(plainUdp({ payload: payloadOf(500) }), 200);
    const next = { ...segments[0]!, identification: 103 };
    expect(runPackets([...segments, next]).length).toBe(2);
  });

  test("an identification may stay the same where DF is set, and must not change its ways", () => {
    const writesWith = (fragment: number, ...identifications: number[]) => {
      const segments = naiveSegments(plainTcp({ fragment }), 250).slice(0, identifications.length);
      return runPackets(segments.map((packet, i) => ({ ...packet, identification: identifications[i]! }))).length;
    };
    expect(writesWith(0x4000, 0, 0, 0)).toBe(1);
    expect(writesWith(0x4000, 65535, 0, 1)).toBe(1);
    expect(writesWith(0x4000, 5, 5, 6)).toBe(2);
    expect(writesWith(0x4000, 5, 6, 5)).toBe(2);
    expect(writesWith(0, 5, 5)).toBe(2);
    expect(writesWith(0, 5, 6)).toBe(1);
    // Reserved bit.
    expect(writesWith(0x8000, 5, 6)).toBe(2);
  });

  test("IPv4 options keep packets apart, be they the same, and of no weight in the checksum", () => {
    expect(writesOf(plainTcp({ ipOptions: new Uint8Array(4) }), {})).toBe(2);
    expect(writesOf(plainUdp({ ipOptions: new Uint8Array(4) }), {})).toBe(2);
  });

  test("packets on a route stay apart: their destination, and so their checksum, is not what the header says", () => {
    for (const packet of [overIpv6(plainTcp()), overIpv6(plainUdp())]) {
      const { routed, onItsWay } = routedPacket({ ...packet, payload: payloadOf(2500) }, new Uint8Array(16).fill(0xfd));
      const atTheEnd = naiveSegmentBytes(routed, 1000, "complete");
      expect(runBytes(atTheEnd.map(onItsWay))).toEqual(atTheEnd.map(onItsWay).map(alone));
    }
  });

  test("fragments, other protocols, UDP without checksum or of another length stay apart as they are", () => {
    const [first, second] = pair(plainUdp(), {}) as [Uint8Array, Uint8Array];
    const changes: ((bytes: Uint8Array) => void)[] = [
      (bytes) => bytes.set([0x20, 0], 6),
      (bytes) => bytes.set([0, 3], 6),
      (bytes) => bytes.set([1], 9),
      (bytes) => bytes.set([0, 0], 26),
      (bytes) => bytes.set([0, 9], 24),
      (bytes) => bytes.set([0xde, 0xad], 10),
    ];
    for (const change of changes) {
      const packets = [first.slice(), second.slice()];
      for (const packet of packets) change(packet);
      expect(runBytes(packets)).toEqual(packets.map(alone));
    }
  });
});

describe("one packet by itself", () => {
  test("that nothing can join is in nobody's way: the next one is opened where it lies", () => {
    const memory = packetMemory(new Uint8Array(4096));
    const coalescer = new Coalescer(memory);
    const placeAfter = (packet: TransportPacket) => {
      const bytes = buildPacket(packet);
      memory.bytes.set(bytes, coalescer.place(16));
      expect(coalescer.consider(bytes.length, false)).toBe(true);
      const at = coalescer.place(2000);
      coalescer.finish();
      return at;
    };
    expect(placeAfter(plainTcp())).toBe(16 + 1000);
    expect(placeAfter(plainTcp({ payload: new Uint8Array() }))).toBe(2000);
    expect(placeAfter(plainTcp({}, { flags: 0x18 }))).toBe(2000);
  });

  test("is written as it came, and with NEEDS_CSUM where its sender left the checksum", () => {
    for (const packet of [plainTcp(), plainUdp(), overIpv6(plainTcp()), overIpv6(plainUdp())]) {
      expect(runPackets([packet])).toEqual([alone(buildPacket(packet))]);
      const partial = buildPacket(packet, "pseudo-header");
      const header = { ...joinedHeader(packet, 0), gsoType: 0, headerLengthBytes: 0 };
      expect(run([{ bytes: partial, isPartial: true }])).toEqual([{ header, packet: partial }]);
    }
  });

  test("whose sender claims a partial checksum, but has none, is written as it came", () => {
    const bytes = buildPacket(plainUdp());
    bytes[9] = 1;
    expect(run([{ bytes, isPartial: true }])).toEqual([alone(bytes)]);
  });

  test("partial and complete checksums may join: all get a new one", () => {
    const [first, second] = naiveSegments(plainTcp(), 500) as [TransportPacket, TransportPacket];
    const arrivals = [{ bytes: buildPacket(first) }, { bytes: buildPacket(second, "pseudo-header"), isPartial: true }];
    expect(run(arrivals)).toEqual([joined(plainTcp(), 500)]);
    expect(run([{ ...arrivals[1]! }, { ...arrivals[0]! }]).map(({ header }) => header.flags)).toEqual([1, 0]);
  });
});

describe("what is not for the device", () => {
  test("leaves no trace, be it longer or shorter than what it was opened over", () => {
    const packet = plainTcp({ payload: payloadOf(700) });
    const segments = naiveSegmentBytes(packet, 100, "complete").map((bytes) => ({ bytes }));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(7), fc.uint8Array({ minLength: 1, maxLength: 200 })), { maxLength: 8 }),
        (noise) => {
          const arrivals: Arrival[] = [...segments];
          for (const [at, bytes] of noise) arrivals.splice(at, 0, { bytes, isRefused: true });
          expect(run(arrivals)).toEqual([joined(packet, 100)]);
        },
      ),
      { seed: SEED, numRuns: 200 },
    );
  });

  test("any bytes that pass for IP packets: no throw, nothing outside touched, nothing lost", () => {
    const base = [plainTcp(), plainUdp(), overIpv6(plainTcp()), overIpv6(plainUdp())];
    const anyPacket = fc
      .record({
        kind: fc.nat(base.length - 1),
        lengthBytes: fc.integer({ min: 20, max: 120 }),
        changes: fc.array(fc.tuple(fc.nat(119), fc.nat(255)), { maxLength: 3 }),
      })
      .map(({ kind, lengthBytes, changes }) => {
        const bytes = buildPacket({ ...base[kind]!, payload: new Uint8Array(60) }).slice(0, lengthBytes);
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        // Cut short, it says so: only what `ipPacketLength` takes comes here.
        if (bytes[0]! >>> 4 === 4) bytes.set([0, bytes.length], 2);
        else bytes.set([0, Math.max(bytes.length - 40, 0)], 4);
        return bytes;
      })
      .filter((bytes) => ipPacketLength(bytes, 0, bytes.length) === bytes.length);
    fc.assert(
      fc.property(fc.array(anyPacket, { minLength: 1, maxLength: 12 }), fc.array(fc.boolean()), (packets, partial) => {
        const writes = run(packets.map((bytes, i) => ({ bytes, isPartial: partial[i] ?? false })));
        const groups = naiveWrites(packets, new Set(packets.keys().filter((i) => partial[i] ?? false)));
        expect(writes.map(({ packet }) => packet)).toEqual(groups.map(({ packet }) => packet));
      }),
      { seed: SEED, numRuns: 2000 },
    );
  });
});
