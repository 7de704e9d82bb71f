/** Coalescing by taking packets apart and comparing their fields. */

import { ipPacketLength } from "../../src/wire/ip.ts";
import {
  concatenate,
  hasRightChecksums,
  headerLength,
  naiveSum,
  parsePacket,
  type TransportPacket,
} from "./transport-packet.ts";

const FIN = 0x01;
const SYN = 0x02;
const RST = 0x04;
const PSH = 0x08;
const URG = 0x20;
const CWR = 0x80;

/** Packets that go into one write; several only if they were joined. */
export type NaiveGroup = readonly Uint8Array[];

/**
 * Which of `packets`, in their order, the kernel's GRO would join with one flow held at a time; those with CWR aside,
 * of which kernels differ. The checksum of those at the places in `partial` is left to this machine.
 */
export function naiveGroups(packets: readonly Uint8Array[], partial: ReadonlySet<number> = new Set()): NaiveGroup[] {
  const trusted = packets.map((packet, i) => partial.has(i) || hasRightChecksums(packet));
  const groups: Uint8Array[][] = [];
  for (const [i, packet] of packets.entries()) {
    const last = groups.at(-1);
    if (last && trusted[i - 1] && trusted[i] && mayJoin(last, packet)) last.push(packet);
    else groups.push([packet]);
  }
  return groups;
}

/** The packet that a group of several makes; its checksum fields are left as the first one's. */
export function naiveJoined(group: NaiveGroup): TransportPacket {
  const parsed = group.map((bytes) => parsePacket(bytes)!);
  const first = parsed[0]!;
  const ends = parsed.reduce((flags, { tcp }) => flags | ((tcp?.flags ?? 0) & (FIN | PSH)), 0);
  return {
    ...first,
    payload: concatenate(...parsed.map(({ payload }) => payload)),
    tcp: first.tcp && { ...first.tcp, flags: first.tcp.flags | ends },
  };
}

function mayJoin(group: readonly Uint8Array[], bytes: Uint8Array): boolean {
  if (![...group, bytes].every(isOfGroup)) return false;
  const parsed = group.map((member) => parsePacket(member)!);
  const [first, last] = [parsed[0]!, parsed.at(-1)!];
  const next = parsePacket(bytes)!;
  if (hasReasonToEnd(first) || hasReasonToEnd(last)) return false;
  if (sameInAll(first) !== sameInAll(next)) return false;
  const size = first.payload.length;
  if (last.payload.length < size || next.payload.length > size) return false;
  const payloadBytes = parsed.reduce((sum, { payload }) => sum + payload.length, next.payload.length);
  if (headerLength(first) + payloadBytes > 65535) return false;
  if (first.version === 4 && !followsIdentification([...parsed, next])) return false;
  if (!first.tcp || !next.tcp) return group.length < 64;
  const sent = payloadBytes - next.payload.length;
  return next.tcp.sequence === (first.tcp.sequence + sent) % 2 ** 32;
}

/** A packet that GRO looks at. */
function isOfGroup(bytes: Uint8Array): boolean {
  const length = ipPacketLength(bytes, 0, bytes.length);
  const packet = length === bytes.length ? parsePacket(bytes) : undefined;
  if (!packet || packet.payload.length === 0) return false;
  if (packet.version === 4) {
    if (packet.ipOptions.length > 0 || (packet.fragment & ~0x4000) !== 0) return false;
    if (naiveSum(bytes.slice(0, 20)) !== 0xffff) return false;
  }
  if (packet.tcp) return true;
  const udp = bytes.slice(headerLength(packet) - 8);
  return udp[4]! * 256 + udp[5]! === udp.length && (udp[6] !== 0 || udp[7] !== 0);
}

function hasReasonToEnd({ tcp }: TransportPacket): boolean {
  return tcp !== undefined && (tcp.flags & (FIN | SYN | RST | PSH | URG | CWR)) !== 0;
}

function sameInAll({ payload: _payload, identification: _identification, tcp, ...rest }: TransportPacket): string {
  const flags = (tcp?.flags ?? 0) & ~(FIN | PSH);
  return JSON.stringify([rest, tcp && { ...tcp, flags, sequence: 0, urgentPointer: 0 }]);
}

function followsIdentification(packets: readonly TransportPacket[]): boolean {
  const first = packets[0]!;
  const stays = packets.every(({ identification }) => identification === first.identification);
  const rises = packets.every(({ identification }, i) => identification === (first.identification + i) % 2 ** 16);
  return rises || (stays && (first.fragment & 0x4000) !== 0);
}
