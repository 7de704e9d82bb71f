/** TCP and UDP packets taken apart and put together, the simple way: every field by itself, every byte copied. */

export interface ExtensionHeader {
  /** 0 hop-by-hop, 43 routing, 60 destination options. */
  readonly type: number;
  /** What follows its first two bytes: 6 bytes, or 8 more of them. */
  readonly body: Uint8Array;
}

export interface TransportPacket {
  readonly version: 4 | 6;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** TOS or traffic class. */
  readonly trafficClass: number;
  /** TTL or hop limit. */
  readonly hopLimit: number;
  /** IPv6; 0 for IPv4. */
  readonly flowLabel: number;
  /** IPv4: 0x4000 is DF. 0 for IPv6, as the identification. */
  readonly fragment: number;
  readonly identification: number;
  /** IPv4. */
  readonly ipOptions: Uint8Array;
  /** IPv6. */
  readonly extensionHeaders: readonly ExtensionHeader[];
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** `undefined`: it is UDP. */
  readonly tcp: TcpFields | undefined;
  readonly payload: Uint8Array;
}

export interface TcpFields {
  readonly sequence: number;
  readonly acknowledgement: number;
  readonly reserved: number;
  readonly flags: number;
  readonly window: number;
  readonly urgentPointer: number;
  readonly options: Uint8Array;
}

/** RFC 1071, by its words: 16-bit numbers added, carries added in, nothing complemented. */
export function naiveSum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) {
    sum += bytes[i]! * 256 + (bytes[i + 1] ?? 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

export function concatenate(...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

const uint16 = (value: number) => [(value >>> 8) & 0xff, value & 0xff];
const uint32 = (value: number) => [...uint16(value >>> 16), ...uint16(value)];

/** Length of the headers before the TCP or UDP header. */
export function transportOffset(packet: TransportPacket): number {
  if (packet.version === 4) return 20 + packet.ipOptions.length;
  return packet.extensionHeaders.reduce((length, { body }) => length + 2 + body.length, 40);
}

/** Length of all headers. */
export function headerLength(packet: TransportPacket): number {
  return transportOffset(packet) + (packet.tcp ? 20 + packet.tcp.options.length : 8);
}

/** The bytes of the packet, with right checksums, or with the sum of the pseudo-header where TCP's or UDP's is. */
export function buildPacket(packet: TransportPacket, checksum: "complete" | "pseudo-header" = "complete"): Uint8Array {
  const transport = packet.tcp ? buildTcp(packet, packet.tcp) : buildUdp(packet);
  const protocol = packet.tcp ? 6 : 17;
  const pseudoHeader = concatenate(packet.source, packet.destination, uint32(transport.length), uint32(protocol));
  const sum = checksum === "complete" ? complement(concatenate(pseudoHeader, transport)) : naiveSum(pseudoHeader);
  const stored = sum === 0 && !packet.tcp ? 0xffff : sum;
  transport.set(uint16(stored), packet.tcp ? 16 : 6);
  return concatenate(
    packet.version === 4
      ? ipv4Header(packet, transport.length, protocol)
      : ipv6Header(packet, transport.length, protocol),
    transport,
  );
}

const complement = (bytes: Uint8Array) => 0xffff - naiveSum(bytes);

function buildTcp(packet: TransportPacket, tcp: TcpFields): Uint8Array {
  return concatenate(
    uint16(packet.sourcePort),
    uint16(packet.destinationPort),
    uint32(tcp.sequence),
    uint32(tcp.acknowledgement),
    [((20 + tcp.options.length) / 4) * 16 + tcp.reserved, tcp.flags],
    uint16(tcp.window),
    [0, 0],
    uint16(tcp.urgentPointer),
    tcp.options,
    packet.payload,
  );
}

function buildUdp(packet: TransportPacket): Uint8Array {
  const length = 8 + packet.payload.length;
  return concatenate(uint16(packet.sourcePort), uint16(packet.destinationPort), uint16(length), [0, 0], packet.payload);
}

function ipv4Header(packet: TransportPacket, transportBytes: number, protocol: number): Uint8Array {
  const length = 20 + packet.ipOptions.length;
  const header = concatenate(
    [0x40 + length / 4, packet.trafficClass],
    uint16(length + transportBytes),
    uint16(packet.identification),
    uint16(packet.fragment),
    [packet.hopLimit, protocol, 0, 0],
    packet.source,
    packet.destination,
    packet.ipOptions,
  );
  header.set(uint16(complement(header)), 10);
  return header;
}

function ipv6Header(packet: TransportPacket, transportBytes: number, protocol: number): Uint8Array {
  const types = [...packet.extensionHeaders.map(({ type }) => type), protocol];
  const extensions = packet.extensionHeaders.map(({ body }, i) =>
    concatenate([types[i + 1]!, (2 + body.length) / 8 - 1], body),
  );
  const payloadBytes = transportBytes + extensions.reduce((length, { length: more }) => length + more, 0);
  return concatenate(
    uint32(6 * 2 ** 28 + packet.trafficClass * 2 ** 20 + packet.flowLabel),
    uint16(payloadBytes),
    [types[0]!, packet.hopLimit],
    packet.source,
    packet.destination,
    ...extensions,
  );
}

/** The fields of `bytes`, a whole packet of TCP or UDP; `undefined` for others, fragments, and what is cut short. */
export function parsePacket(bytes: Uint8Array): TransportPacket | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const version = bytes[0]! >>> 4 === 4 ? 4 : 6;
  let at = version === 4 ? (bytes[0]! & 15) * 4 : 40;
  let protocol = bytes[version === 4 ? 9 : 6]!;
  const extensionHeaders: ExtensionHeader[] = [];
  while (version === 6 && [0, 43, 60].includes(protocol)) {
    if (at + 8 > bytes.length) return undefined;
    const length = (bytes[at + 1]! + 1) * 8;
    extensionHeaders.push({ type: protocol, body: bytes.slice(at + 2, at + length) });
    protocol = bytes[at]!;
    at += length;
  }
  const fragment = version === 4 ? view.getUint16(6) : 0;
  if ((protocol !== 6 && protocol !== 17) || (fragment & 0x3fff) !== 0) return undefined;
  const shortest = at + (protocol === 6 ? 20 : 8);
  if (shortest > bytes.length) return undefined;
  const dataOffset = protocol === 6 ? at + (bytes[at + 12]! >>> 4) * 4 : shortest;
  if (dataOffset < shortest || dataOffset > bytes.length) return undefined;
  return {
    version,
    source: version === 4 ? bytes.slice(12, 16) : bytes.slice(8, 24),
    destination: version === 4 ? bytes.slice(16, 20) : bytes.slice(24, 40),
    trafficClass: version === 4 ? bytes[1]! : (view.getUint16(0) >>> 4) & 0xff,
    hopLimit: bytes[version === 4 ? 8 : 7]!,
    flowLabel: version === 4 ? 0 : view.getUint32(0) % 2 ** 20,
    fragment,
    identification: version === 4 ? view.getUint16(4) : 0,
    ipOptions: version === 4 ? bytes.slice(20, at) : new Uint8Array(),
    extensionHeaders,
    sourcePort: view.getUint16(at),
    destinationPort: view.getUint16(at + 2),
    tcp:
      protocol === 17
        ? undefined
        : {
            sequence: view.getUint32(at + 4),
            acknowledgement: view.getUint32(at + 8),
            reserved: bytes[at + 12]! & 15,
            flags: bytes[at + 13]!,
            window: view.getUint16(at + 14),
            urgentPointer: view.getUint16(at + 18),
            options: bytes.slice(at + 20, dataOffset),
          },
    payload: bytes.slice(dataOffset),
  };
}

/** True where the IPv4 header's and the transport's checksum are right. */
export function hasRightChecksums(bytes: Uint8Array): boolean {
  const packet = parsePacket(bytes);
  if (!packet) return false;
  const at = transportOffset(packet);
  const transport = bytes.slice(at);
  const pseudoHeader = concatenate(
    packet.source,
    packet.destination,
    uint32(transport.length),
    uint32(packet.tcp ? 6 : 17),
  );
  const isHeaderRight = packet.version === 6 || naiveSum(bytes.slice(0, at)) === 0xffff;
  return isHeaderRight && naiveSum(concatenate(pseudoHeader, transport)) === 0xffff;
}
