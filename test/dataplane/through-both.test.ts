/** Whatever a kernel hands to the fast way out comes from the fast way in as that kernel would have sent it by itself. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { loadTransportCipher } from "../../src/crypto/load-transport-cipher.ts";
import { NobleTransportCipher } from "../../src/crypto/transport-cipher-noble.ts";
import {
  createVirtioNetHeader,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_NONE,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
  VIRTIO_NET_HDR_GSO_UDP_L4,
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
import { MemoryTunnel, type MemoryTunnelOptions, type Read } from "./memory-tunnel.ts";
import { overIpv6, payloadOf, plainTcp, plainUdp, somePayload, transportPacket } from "./segment-arbitraries.ts";

const SEED = 20261121;
const DONT_FRAGMENT = 0x4000;
/** Packets that wait for a session, of one peer. */
const MAXIMUM_WAITING = 128;

/** How a kernel hands a packet over: to be cut, without its checksum, finished, or finished and then spoilt. */
const FORMS = ["uncut", "partial", "finished", "spoilt"] as const;

interface Handed {
  readonly read: Read;
  /** The packets that the receiver's kernel is to have of it. */
  readonly expected: readonly Uint8Array[];
  /** To the last bit, be it wrong. */
  readonly isSpoilt: boolean;
}

/** Sequence numbers wrap soon. */
const FLOWS = {
  tcp: plainTcp({}, { sequence: 0xffff_f000 }),
  udp: plainUdp(),
  "tcp over ipv6": overIpv6(plainTcp()),
  "udp over ipv6": overIpv6(plainUdp()),
} as const;

type FlowName = keyof typeof FLOWS;

/** The next packet of a flow: its messages often have something to join. */
const ofFlow = fc.record({
  flow: fc.constantFrom<FlowName>("tcp", "udp", "tcp over ipv6", "udp over ipv6"),
  payloadBytes: fc.oneof(fc.integer({ min: 1, max: 6000 }), fc.constant(1000)),
  flags: fc.constantFrom(0x10, 0x10, 0x10, 0x18, 0x90, 0x11, 0x50, 0xd0),
});

const draft = fc.record({
  what: fc.oneof({ weight: 3, arbitrary: ofFlow }, { weight: 1, arbitrary: transportPacket(somePayload(4000)) }),
  form: fc.constantFrom(...FORMS),
  gsoSizeBytes: fc.oneof(fc.integer({ min: 60, max: 1300 }), fc.constant(1000)),
});
type Draft = typeof draft extends fc.Arbitrary<infer Value> ? Value : never;

const tunnelOptions = fc.record({
  mtuBytes: fc.constantFrom(1420, 1421, 1280, 1283, 9000, 577),
  offloadsOff: fc.subarray(["udp-gso" as const, "partial-checksum" as const]),
  hasSession: fc.oneof(fc.constant(true), fc.boolean()),
  refusal: fc.oneof(
    fc.constant({ gsoTypes: [], fromWrite: 0 }),
    fc.record({
      gsoTypes: fc.subarray([VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_HDR_GSO_TCPV6, VIRTIO_NET_HDR_GSO_UDP_L4]),
      fromWrite: fc.nat(10),
    }),
  ),
});

/** Packets of a flow follow each other, and none is cut into larger ones than the device's. */
function handAll(drafts: readonly Draft[], mtuBytes: number): Handed[] {
  const flows: Record<FlowName, TransportPacket> = { ...FLOWS };
  return drafts.map(({ what, form, gsoSizeBytes }) => {
    const packet = "flow" in what ? ofFlowNow(flows[what.flow], what.payloadBytes, what.flags) : what;
    const roomBytes = mtuBytes - headerLength(packet);
    const payload = form === "uncut" ? packet.payload : packet.payload.slice(0, roomBytes);
    const handed = hand({ ...packet, payload }, form, Math.min(gsoSizeBytes, roomBytes));
    if ("flow" in what) flows[what.flow] = after(flows[what.flow], payload.length, handed.expected.length);
    return handed;
  });
}

function ofFlowNow(packet: TransportPacket, payloadBytes: number, flags: number): TransportPacket {
  return { ...packet, tcp: packet.tcp && { ...packet.tcp, flags }, payload: payloadOf(payloadBytes, payloadBytes) };
}

/** Where a flow is after so many packets, with so much payload together. */
function after(packet: TransportPacket, payloadBytes: number, packets: number): TransportPacket {
  const { version, identification, tcp } = packet;
  return {
    ...packet,
    identification: version === 4 ? (identification + packets) % 2 ** 16 : 0,
    tcp: tcp && { ...tcp, sequence: (tcp.sequence + payloadBytes) % 2 ** 32 },
  };
}

function hand(packet: TransportPacket, form: (typeof FORMS)[number], gsoSizeBytes: number): Handed {
  if (form === "finished" || form === "spoilt") {
    const bytes = buildPacket(packet);
    // The last byte of the payload, or of the header where there is none.
    if (form === "spoilt") bytes[bytes.length - 1]! ^= 0x10;
    return { read: { header: createVirtioNetHeader(), packet: bytes }, expected: [bytes], isSpoilt: form === "spoilt" };
  }
  const tcpType = packet.version === 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
  const gsoType = packet.tcp ? tcpType : VIRTIO_NET_HDR_GSO_UDP_L4;
  const isUncut = form === "uncut";
  const header = {
    flags: VIRTIO_NET_HDR_F_NEEDS_CSUM,
    gsoType: isUncut ? gsoType : VIRTIO_NET_HDR_GSO_NONE,
    headerLengthBytes: isUncut ? headerLength(packet) : 0,
    gsoSizeBytes: isUncut ? gsoSizeBytes : 0,
    checksumStart: transportOffset(packet),
    checksumOffset: packet.tcp ? 16 : 6,
  };
  const expected = isUncut ? naiveSegmentBytes(packet, gsoSizeBytes, "complete") : [buildPacket(packet)];
  return { read: { header, packet: buildPacket(packet, "pseudo-header") }, expected, isSpoilt: false };
}

/** But for the identification of packets that are never fragmented: those that were joined get new ones (RFC 6864). */
function comparable(bytes: Uint8Array): unknown {
  const packet = parsePacket(bytes)!;
  const isAtomic = (packet.fragment & DONT_FRAGMENT) !== 0;
  return { ...packet, identification: isAtomic ? 0 : packet.identification, isRight: hasRightChecksums(bytes) };
}

/** The last of what was handed over. */
function expectDelivered(delivered: readonly Uint8Array[], all: readonly Handed[]): void {
  const expected = all.flatMap(({ expected, isSpoilt }) => expected.map((bytes) => ({ bytes, isSpoilt })));
  for (const [i, { bytes, isSpoilt }] of expected.slice(-delivered.length).entries()) {
    if (Buffer.compare(delivered[i]!, bytes) === 0) continue;
    if (isSpoilt) expect(delivered[i]).toEqual(bytes);
    expect(comparable(delivered[i]!)).toEqual(comparable(bytes));
  }
}

describe.each([
  ["the fastest cipher", () => loadTransportCipher()],
  ["a cipher that takes messages one by one", () => new NobleTransportCipher()],
])("by %s", (_what, loadCipher) => {
  test("packets of all kinds come whole, right, and in their order, however the network joins their messages", () => {
    const most = fc.array(fc.integer({ min: 1, max: 70 }), { minLength: 1, maxLength: 5 });
    const drafts = fc.array(draft, { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(drafts, tunnelOptions, most, (list, options, mostMessages) => {
        const all = handAll(list, options.mtuBytes);
        const packets = all.reduce((sum, { expected }) => sum + expected.length, 0);
        using tunnel = new MemoryTunnel({ ...options, loadCipher });
        expect(tunnel.carry(all.map(({ read }) => read))).toBe(options.hasSession ? packets : 0);
        if (!options.hasSession) tunnel.useSession();
        tunnel.deliver(mostMessages);
        expect(tunnel.delivered).toHaveLength(options.hasSession ? packets : Math.min(packets, MAXIMUM_WAITING));
        expectDelivered(tunnel.delivered, all);
      }),
      { seed: SEED, numRuns: 150 },
    );
  }, 30_000);

  test.each(Object.entries(FLOWS))("a stream of %s passes in one piece", (_flow, packet) => {
    const options: MemoryTunnelOptions = {
      mtuBytes: 1420,
      loadCipher,
      offloadsOff: [],
      hasSession: true,
      refusal: { gsoTypes: [], fromWrite: 0 },
    };
    using tunnel = new MemoryTunnel(options);
    const whole = hand({ ...packet, payload: payloadOf(40_000) }, "uncut", 1000);
    expect(tunnel.carry([whole.read])).toBe(40);
    tunnel.deliver([64]);
    expect(tunnel.writes).toBe(1);
    expect(tunnel.delivered).toEqual([...whole.expected]);
  });
});
