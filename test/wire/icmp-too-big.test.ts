import { describe, expect, test } from "bun:test";
import { parseAddress } from "../../src/base/ip.ts";
import { encodeEchoRequest } from "../../src/wire/icmp.ts";
import { encodePacketTooBig } from "../../src/wire/icmp-too-big.ts";
import { internetChecksum, ipPacketLength } from "../../src/wire/ip.ts";
import { overIpv6, payloadOf, plainTcp } from "../dataplane/segment-arbitraries.ts";
import { buildPacket } from "../naive/transport-packet.ts";

const large = plainTcp({ payload: payloadOf(1400) });
const answerTo = (packet: Uint8Array, mtuBytes = 1216) => {
  const buffer = new Uint8Array(packet.length + 7);
  buffer.set(packet, 5);
  return encodePacketTooBig(buffer, 5, packet.length, mtuBytes);
};

describe("the answer to a packet that is too large", () => {
  test("of IPv4 quotes it, with the MTU, from its destination to its source", () => {
    const packet = buildPacket(large);
    const answer = answerTo(packet)!;
    expect(answer).toHaveLength(576);
    expect(ipPacketLength(answer, 0, answer.length)).toBe(576);
    expect(internetChecksum(answer, 0, 20)).toBe(0);
    expect(internetChecksum(answer, 20, 556)).toBe(0);
    expect([...answer.subarray(12, 20)]).toEqual([10, 0, 0, 2, 10, 0, 0, 1]);
    expect([...answer.subarray(20, 22), ...answer.subarray(24, 28)]).toEqual([3, 4, 0, 0, 1216 >> 8, 1216 & 255]);
    expect(answer.subarray(28)).toEqual(packet.subarray(0, 548));
  });

  test("of IPv6 is no larger than every path takes, and tells no smaller MTU", () => {
    const packet = buildPacket(overIpv6(large));
    const answer = answerTo(packet)!;
    expect(answer).toHaveLength(1280);
    expect(ipPacketLength(answer, 0, answer.length)).toBe(1280);
    let sum = 1240 + 58;
    for (let i = 8; i < 40; i += 2) sum += (answer[i]! << 8) | answer[i + 1]!;
    expect(internetChecksum(answer, 40, 1240, sum)).toBe(0);
    expect(answer.subarray(8, 24)).toEqual(packet.subarray(24, 40));
    expect([...answer.subarray(40, 42), ...answer.subarray(44, 48)]).toEqual([2, 0, 0, 0, 1280 >> 8, 1280 & 255]);
    expect(answer.subarray(48)).toEqual(packet.subarray(0, 1232));
    expect([...answerTo(packet, 1312)!.subarray(44, 48)]).toEqual([0, 0, 1312 >> 8, 1312 & 255]);
    expect(answerTo(buildPacket(overIpv6(plainTcp({ payload: payloadOf(1208) }))))).toBeUndefined();
  });

  test("is not given to packets that may be cut, to fragments, and to what has no single sender", () => {
    const echo = (source: string, destination: string) =>
      encodeEchoRequest({
        source: parseAddress(source)!,
        destination: parseAddress(destination)!,
        identifier: 1,
        sequence: 1,
        token: new Uint8Array(8),
        dataBytes: 1300,
      });
    expect(answerTo(buildPacket({ ...large, fragment: 0 }))).toBeUndefined();
    expect(answerTo(buildPacket({ ...large, fragment: 0x4001 }))).toBeUndefined();
    expect(answerTo(buildPacket({ ...large, destination: Uint8Array.of(224, 0, 0, 1) }))).toBeUndefined();
    expect(answerTo(buildPacket({ ...large, source: new Uint8Array(4) }))).toBeUndefined();
    expect(answerTo(echo("fd00::1", "fd00::2"))).toBeDefined();
    expect(answerTo(echo("fd00::1", "ff02::1"))).toBeUndefined();
    expect(answerTo(echo("::", "fd00::2"))).toBeUndefined();
  });

  test("is not given to errors of ICMP, its own among them", () => {
    for (const packet of [buildPacket(large), buildPacket(overIpv6(large))]) {
      const answer = answerTo(packet)!;
      if (answer[0] === 0x45) answer[6] = 0x40;
      const padded = new Uint8Array(1400);
      padded.set(answer);
      expect(answerTo(padded)).toBeUndefined();
    }
  });
});
