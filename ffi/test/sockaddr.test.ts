import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decodeSockaddr, encodeSockaddr, SOCKADDR_IN_BYTES, SOCKADDR_IN6_BYTES } from "../src/index.ts";

const seed = 20_250_103;
const address4 = fc.uint8Array({ minLength: 4, maxLength: 4 });
const address16 = fc.uint8Array({ minLength: 16, maxLength: 16 });
const port = fc.integer({ min: 0, max: 0xffff });
const scopeId = fc.integer({ min: 1, max: 0xffff_ffff });

describe("sockaddr", () => {
  test("has the kernel's sizes and layout", () => {
    expect([SOCKADDR_IN_BYTES, SOCKADDR_IN6_BYTES]).toEqual([16, 28]);
    expect(encodeSockaddr({ address: Uint8Array.of(10, 11, 12, 1), port: 51820 }).toHex()).toBe(
      "0200ca6c0a0b0c010000000000000000",
    );
    const address = Uint8Array.fromHex("fe800000000000000000000000000001");
    expect(encodeSockaddr({ address, port: 53, scopeId: 3 }).toHex()).toBe(
      "0a00003500000000fe80000000000000000000000000000103000000",
    );
  });

  test("decodes what it encodes", () => {
    const endpoint = fc.oneof(
      fc.record({ address: address4, port }),
      fc.record({ address: address16, port }),
      fc.record({ address: address16, port, scopeId }),
    );
    fc.assert(
      fc.property(endpoint, (wanted) => {
        expect(decodeSockaddr(encodeSockaddr(wanted))).toEqual(wanted);
      }),
      { seed },
    );
  });

  test("answers undefined for anything else, and never throws", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const family = bytes.length < 2 ? 0 : bytes[0]! + bytes[1]! * 256;
        const fits = (family === 2 && bytes.length >= 16) || (family === 10 && bytes.length >= 28);
        expect(decodeSockaddr(bytes) !== undefined).toBe(fits);
      }),
      { seed, examples: [[new Uint8Array(28)], [new Uint8Array(0)]] },
    );
    for (const endpoint of [
      { address: new Uint8Array(4), port: 1 },
      { address: new Uint8Array(16), port: 1 },
    ]) {
      const whole = encodeSockaddr(endpoint);
      for (let length = 0; length < whole.length; length += 1) {
        expect(decodeSockaddr(whole.subarray(0, length))).toBeUndefined();
      }
    }
  });

  test("decodes a view into a larger buffer, and copies the address", () => {
    const buffer = new Uint8Array(64);
    buffer.set(encodeSockaddr({ address: Uint8Array.of(1, 2, 3, 4), port: 9 }), 5);
    const decoded = decodeSockaddr(buffer.subarray(5));
    buffer.fill(0);
    expect(decoded).toEqual({ address: Uint8Array.of(1, 2, 3, 4), port: 9 });
  });

  test("a programmer's mistake throws", () => {
    for (const wrong of [-1, 65_536, 1.5, Number.NaN]) {
      expect(() => encodeSockaddr({ address: new Uint8Array(4), port: wrong })).toThrow(RangeError);
    }
    expect(() => encodeSockaddr({ address: new Uint8Array(5), port: 1 })).toThrow(RangeError);
  });
});
