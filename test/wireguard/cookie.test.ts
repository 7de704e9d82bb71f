import { describe, expect, test } from "bun:test";
import { formatHex, parseHex } from "../../src/base/bytes.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { decodeCookieReply, INITIATION_LENGTH_BYTES } from "../../src/wire/wireguard.ts";
import { COOKIE_LIFETIME_MS } from "../../src/wireguard/constants.ts";
import { MacChecker, MacGenerator } from "../../src/wireguard/cookie.ts";
import handshakes from "./vectors/handshakes.json";

const KEY = new Uint8Array(32).fill(7);
const SOURCE = { address: Uint8Array.of(192, 0, 2, 1), port: 4711 };

function newMessage(fill = 1): Uint8Array {
  return new Uint8Array(INITIATION_LENGTH_BYTES).fill(fill);
}

describe("cookies", () => {
  test.each(handshakes)("are opened and used as an independent implementation does, $name", (vector) => {
    const macs = new MacGenerator(parseHex(vector.responderPublic)!);
    const message = parseHex(vector.initiation)!;
    macs.addMacs(message, 0);
    expect(formatHex(message)).toBe(vector.initiation);
    expect(macs.handleCookieReply(decodeCookieReply(parseHex(vector.cookieReply)!)!, 0)).toBe(true);
    macs.addMacs(message, 0);
    expect(formatHex(message)).toBe(vector.initiationWithCookie);
  });

  test("prove the source: another address or port, or another message, has no valid mac2", () => {
    const checker = new MacChecker(KEY, systemRandom);
    const macs = new MacGenerator(KEY);
    const first = newMessage();
    macs.addMacs(first, 0);
    expect(checker.hasValidMac1(first)).toBe(true);
    expect(checker.hasValidMac2(first, SOURCE, 0)).toBe(false);
    const reply = decodeCookieReply(checker.createCookieReply(first, 99, SOURCE, 0))!;
    expect(reply.receiverIndex).toBe(99);
    expect(macs.handleCookieReply(reply, 0)).toBe(true);
    const second = newMessage(2);
    macs.addMacs(second, 0);
    expect(checker.hasValidMac2(second, SOURCE, 0)).toBe(true);
    expect(checker.hasValidMac2(second, { ...SOURCE, port: 4712 }, 0)).toBe(false);
    expect(checker.hasValidMac2(second, { ...SOURCE, address: Uint8Array.of(192, 0, 2, 2) }, 0)).toBe(false);
    second[40]! ^= 1;
    expect(checker.hasValidMac2(second, SOURCE, 0)).toBe(false);
    expect(checker.hasValidMac1(second)).toBe(false);
  });

  test("are taken once, and for the last message alone", () => {
    const checker = new MacChecker(KEY, systemRandom);
    const macs = new MacGenerator(KEY);
    const first = newMessage(1);
    macs.addMacs(first, 0);
    const forFirst = decodeCookieReply(checker.createCookieReply(first, 1, SOURCE, 0))!;
    const second = newMessage(2);
    macs.addMacs(second, 0);
    expect(macs.handleCookieReply(forFirst, 0)).toBe(false);
    const forSecond = decodeCookieReply(checker.createCookieReply(second, 1, SOURCE, 0))!;
    expect(macs.handleCookieReply(forSecond, 0)).toBe(true);
    expect(macs.handleCookieReply(forSecond, 0)).toBe(false);
  });

  test("live 120 seconds on both sides", () => {
    const checker = new MacChecker(KEY, systemRandom);
    const macs = new MacGenerator(KEY);
    const message = newMessage();
    macs.addMacs(message, 0);
    macs.handleCookieReply(decodeCookieReply(checker.createCookieReply(message, 1, SOURCE, 0))!, 0);
    const late = newMessage();
    macs.addMacs(late, COOKIE_LIFETIME_MS - 1);
    expect(checker.hasValidMac2(late, SOURCE, COOKIE_LIFETIME_MS - 1)).toBe(true);
    expect(checker.hasValidMac2(late, SOURCE, COOKIE_LIFETIME_MS)).toBe(false);
    const tooLate = newMessage();
    macs.addMacs(tooLate, COOKIE_LIFETIME_MS);
    expect(tooLate.subarray(-16)).toEqual(new Uint8Array(16).fill(1));
  });
});
