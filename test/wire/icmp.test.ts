import { describe, expect, test } from "bun:test";
import { parseAddress } from "../../src/base/ip.ts";
import {
  echoReplyToken,
  encodeEchoRequest,
  ICMP_ECHO_REPLY,
  ICMPV6_ECHO_REPLY,
  isDaemonEchoReply,
} from "../../src/wire/icmp.ts";
import { internetChecksum, ipPacketLength } from "../../src/wire/ip.ts";

const token = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]);
const request = (source: string, destination: string, dataBytes = 16) =>
  encodeEchoRequest({
    source: parseAddress(source)!,
    destination: parseAddress(destination)!,
    identifier: 0x1234,
    sequence: 7,
    token,
    dataBytes,
  });

describe("ICMP echo", () => {
  test("the checksum of RFC 1071 section 3's example", () => {
    const bytes = new Uint8Array([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
    expect(internetChecksum(bytes, 0, bytes.length)).toBe(~0xddf2 & 0xffff);
  });

  test("an IPv4 request verifies and states its length", () => {
    const packet = request("10.11.12.1", "10.11.12.2", 57);
    expect(ipPacketLength(packet, 0, packet.length)).toBe(20 + 8 + 57);
    expect(internetChecksum(packet, 0, 20)).toBe(0);
    expect(internetChecksum(packet, 20, packet.length - 20)).toBe(0);
  });

  test("an IPv6 request verifies over its pseudo-header", () => {
    const packet = request("fd00::1", "fd00::2");
    const icmpBytes = packet.length - 40;
    expect(ipPacketLength(packet, 0, packet.length)).toBe(40 + 8 + 16);
    let sum = icmpBytes + 58;
    for (let i = 8; i < 40; i += 2) sum += (packet[i]! << 8) | packet[i + 1]!;
    expect(internetChecksum(packet, 40, icmpBytes, sum)).toBe(0);
  });

  for (const [source, destination, header, reply] of [
    ["10.11.12.1", "10.11.12.2", 20, ICMP_ECHO_REPLY],
    ["fd00::1", "fd00::2", 40, ICMPV6_ECHO_REPLY],
  ] as const) {
    test(`only a whole reply with the mark is the daemon's (${source})`, () => {
      const packet = request(source, destination);
      expect(isDaemonEchoReply(packet, 0, packet.length)).toBe(false);
      packet[header] = reply;
      expect(isDaemonEchoReply(packet, 0, packet.length)).toBe(true);
      expect(echoReplyToken(packet)).toEqual(token);
      expect(isDaemonEchoReply(packet, 0, packet.length - 1)).toBe(false);
      packet[header + 8]! ^= 1;
      expect(isDaemonEchoReply(packet, 0, packet.length)).toBe(false);
    });
  }

  test("the length that a header states is believed only where it fits", () => {
    const packet = request("10.11.12.1", "10.11.12.2");
    expect(ipPacketLength(packet, 0, packet.length + 15)).toBe(packet.length);
    expect(ipPacketLength(packet, 0, packet.length - 1)).toBe(0);
    const cases: [number, number][] = [
      [0, 0x44],
      [0, 0x55],
      [0, 0x4f],
      [2, 0xff],
    ];
    for (const [offset, value] of cases) {
      const changed = packet.slice();
      changed[offset] = value;
      expect(ipPacketLength(changed, 0, changed.length)).toBe(0);
    }
    expect(ipPacketLength(new Uint8Array(19).fill(0x45), 0, 19)).toBe(0);
    expect(ipPacketLength(new Uint8Array(39).fill(0x60), 0, 39)).toBe(0);
  });
});
