/** Runs of sealed messages as UDP_GRO hands them over, of packets of all kinds, for the tests of the way in. */

import { withBatches } from "../../src/crypto/transport-cipher-loop.ts";
import { NobleTransportCipher } from "../../src/crypto/transport-cipher-noble.ts";
import { buildPacket, headerLength, parsePacket, type TransportPacket } from "../naive/transport-packet.ts";
import { overIpv6, payloadOf, plainTcp, plainUdp } from "./segment-arbitraries.ts";

const HEADER_BYTES = 16;
const TAG_BYTES = 16;

/** What a message is longer than its text. */
export const OVERHEAD_BYTES = HEADER_BYTES + TAG_BYTES;

/** Of the sessions with local indexes 1 and 2. */
export const KEYS = [new Uint8Array(32).fill(0xa1), new Uint8Array(32).fill(0xb2)];

export const KINDS = [
  "tcp",
  "tcp pushed",
  "tcp partial",
  "tcp short",
  "tcp with options",
  "udp",
  "tcp over ipv6",
  "udp over ipv6",
  "wrong source",
  "spoilt",
  "forged",
  "replayed",
  "of another peer",
  "not to anybody",
  "no message",
  "no packet",
] as const;
export type Kind = (typeof KINDS)[number];

/** Makes packets of `textBytes`, or shorter ones, that follow each other in their flows. */
export class Packets {
  #sequence = 0xffff_f000;
  #sequenceIpv6 = 5;
  readonly #identifications = new Map<string, number>();

  make(kind: Kind, textBytes: number): Uint8Array {
    if (kind === "no packet") return new Uint8Array(textBytes).fill(0x55);
    if (kind === "udp") return this.#build(plainUdp(), textBytes, kind);
    if (kind === "udp over ipv6") return this.#build(overIpv6(plainUdp()), textBytes, kind);
    if (kind === "wrong source") {
      const packet = plainTcp();
      return this.#build({ ...packet, source: packet.source.map((byte) => byte ^ 0x80) }, textBytes, kind);
    }
    const flags = kind === "tcp pushed" ? 0x18 : 0x10;
    const options = kind === "tcp with options" ? { options: Uint8Array.of(1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2) } : {};
    const isIpv6 = kind === "tcp over ipv6";
    const plain = plainTcp({}, { flags, sequence: isIpv6 ? this.#sequenceIpv6 : this.#sequence, ...options });
    const packet = isIpv6 ? overIpv6(plain) : plain;
    const bytes = this.#build(packet, kind === "tcp short" ? textBytes - 9 : textBytes, isIpv6 ? kind : "tcp");
    const payloadBytes = bytes.length - headerLength(packet);
    if (isIpv6) this.#sequenceIpv6 += payloadBytes;
    else this.#sequence = (this.#sequence + payloadBytes) % 2 ** 32;
    if (kind === "spoilt") bytes[bytes.length - 2]! ^= 0x40;
    if (kind === "tcp partial") {
      const partial = buildPacket(parsePacket(bytes)!, "pseudo-header");
      partial[0]! |= 0x80;
      return partial;
    }
    return bytes;
  }

  #build(packet: TransportPacket, packetBytes: number, flow: string): Uint8Array {
    const identification = packet.version === 4 ? (this.#identifications.get(flow) ?? 0) : 0;
    this.#identifications.set(flow, (identification + 1) % 2 ** 16);
    return buildPacket({
      ...packet,
      identification,
      payload: payloadOf(packetBytes - headerLength(packet), identification + 1),
    });
  }
}

const sealer = withBatches(new NobleTransportCipher());
for (const [slot, key] of KEYS.entries()) sealer.setKey(slot, key);

/** Messages with texts of `textBytes`, the last with `lastBytes` at most, side by side. */
export function seal(
  list: readonly Kind[],
  textBytes: number,
  lastBytes: number,
  packets: Packets,
  counter: number,
): Uint8Array {
  const strideBytes = textBytes + OVERHEAD_BYTES;
  const run = new Uint8Array(new ArrayBuffer((list.length - 1) * strideBytes + HEADER_BYTES + lastBytes + TAG_BYTES));
  const view = new DataView(run.buffer);
  for (const [i, kind] of list.entries()) {
    const at = i * strideBytes;
    const bytes = i === list.length - 1 ? lastBytes : textBytes;
    const text = bytes < 120 ? new Uint8Array(bytes) : packets.make(kind, bytes);
    run.set(text, at + HEADER_BYTES);
    const slot = kind === "of another peer" ? 1 : 0;
    view.setUint32(at, kind === "no message" ? 9 : 4, true);
    view.setUint32(at + 4, kind === "not to anybody" ? 99 : slot + 1, true);
    const number = kind === "replayed" ? Math.max(0, counter + i - 1) : counter + i;
    view.setBigUint64(at + 8, BigInt(number), true);
    sealer.seal(slot, number, run, at + HEADER_BYTES, bytes);
    if (kind === "forged") run[at + HEADER_BYTES + 5]! ^= 1;
  }
  return run;
}
