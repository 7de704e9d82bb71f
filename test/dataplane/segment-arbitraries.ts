/** Packets for the tests of segmentation and coalescing: of every kind of header, with few distinct values. */

import fc from "fast-check";
import type { ExtensionHeader, TcpFields, TransportPacket } from "../naive/transport-packet.ts";

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const uint16 = fc.integer({ min: 0, max: 0xffff });
/** Near where it wraps, among others. */
const uint32 = fc.oneof(fc.integer({ min: 0, max: 0xffffffff }), fc.integer({ min: 0xffff0000, max: 0xffffffff }));

/** Lengths in steps of 4. */
const options = (maximumWords: number) => fc.integer({ min: 0, max: maximumWords }).chain((words) => bytes(words * 4));

const tcpFields: fc.Arbitrary<TcpFields> = fc.record({
  sequence: uint32,
  acknowledgement: uint32,
  reserved: fc.integer({ min: 0, max: 15 }),
  flags: fc.oneof(fc.constantFrom(0x10, 0x18, 0x90, 0x99, 0x11), fc.integer({ min: 0, max: 255 })),
  window: uint16,
  urgentPointer: uint16,
  options: fc.oneof(fc.constant(new Uint8Array()), bytes(12), options(10)),
});

/** Routing headers at the end of their route. */
const extensionHeader: fc.Arbitrary<ExtensionHeader> = fc
  .record({ type: fc.constantFrom(0, 43, 60), body: fc.constantFrom(6, 14, 22).chain(bytes) })
  .map(({ type, body }) => ({ type, body: type === 43 ? body.with(1, 0) : body }));

/** A packet, as it is at its destination, on the way to `firstPlace`: a routing header has one place left. */
export function routedPacket(packet: TransportPacket, firstPlace: Uint8Array) {
  const extensionHeaders = [{ type: 43, body: Uint8Array.of(2, 1, 0, 0, 0, 0, ...packet.destination) }];
  const routed = { ...packet, extensionHeaders };
  /** Checksums, of which there may be the pseudo-header's alone, are those at the destination. */
  const onItsWay = (bytes: Uint8Array) => {
    const moved = bytes.slice();
    moved.set(firstPlace, 24);
    return moved;
  };
  return { routed, onItsWay };
}

/** What the kernel may hand over to be cut, with `payload` as payload. */
export function transportPacket(payload: fc.Arbitrary<Uint8Array>): fc.Arbitrary<TransportPacket> {
  return fc.constantFrom(4 as const, 6 as const).chain((version) =>
    fc.record({
      version: fc.constant(version),
      source: bytes(version === 4 ? 4 : 16),
      destination: bytes(version === 4 ? 4 : 16),
      trafficClass: fc.integer({ min: 0, max: 255 }),
      hopLimit: fc.integer({ min: 0, max: 255 }),
      flowLabel: version === 4 ? fc.constant(0) : fc.integer({ min: 0, max: 2 ** 20 - 1 }),
      fragment: version === 4 ? fc.constantFrom(0, 0x4000) : fc.constant(0),
      identification: version === 4 ? fc.oneof(uint16, fc.constant(0xfffe)) : fc.constant(0),
      ipOptions: version === 4 ? fc.oneof(fc.constant(new Uint8Array()), options(10)) : fc.constant(new Uint8Array()),
      extensionHeaders: version === 6 ? fc.array(extensionHeader, { maxLength: 2 }) : fc.constant([]),
      sourcePort: uint16,
      destinationPort: uint16,
      tcp: fc.oneof(tcpFields, fc.constant(undefined)),
      payload,
    }),
  );
}

/** A payload that is cheap to make and differs from byte to byte. */
export const somePayload = (maximumBytes: number): fc.Arbitrary<Uint8Array> =>
  fc
    .record({ length: fc.integer({ min: 0, max: maximumBytes }), seed: fc.integer({ min: 0, max: 0xffff }) })
    .map(({ length, seed }) => payloadOf(length, seed));

export function payloadOf(lengthBytes: number, seed = 1): Uint8Array {
  let state = seed | 1;
  return Uint8Array.from({ length: lengthBytes }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state >>> 24;
  });
}

/** A packet of the laboratory's dullest kind, to be changed by tests. */
export function plainTcp(changes: Partial<TransportPacket> = {}, tcp: Partial<TcpFields> = {}): TransportPacket {
  return {
    version: 4,
    source: Uint8Array.of(10, 0, 0, 1),
    destination: Uint8Array.of(10, 0, 0, 2),
    trafficClass: 0,
    hopLimit: 64,
    flowLabel: 0,
    fragment: 0x4000,
    identification: 100,
    ipOptions: new Uint8Array(),
    extensionHeaders: [],
    sourcePort: 40_000,
    destinationPort: 5201,
    tcp: {
      sequence: 1000,
      acknowledgement: 2000,
      reserved: 0,
      flags: 0x10,
      window: 512,
      urgentPointer: 0,
      options: Uint8Array.of(1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2),
      ...tcp,
    },
    payload: payloadOf(1000),
    ...changes,
  };
}

export function plainUdp(changes: Partial<TransportPacket> = {}): TransportPacket {
  return plainTcp({ ...changes, tcp: undefined });
}

/** The IPv6 sibling. */
export function overIpv6(packet: TransportPacket): TransportPacket {
  return {
    ...packet,
    version: 6,
    source: Uint8Array.from({ length: 16 }, (_, i) => (i === 0 ? 0xfd : i)),
    destination: Uint8Array.from({ length: 16 }, (_, i) => (i === 0 ? 0xfd : i + 1)),
    fragment: 0,
    identification: 0,
    flowLabel: 0x12345,
  };
}
