import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  COOKIE_REPLY_LENGTH_BYTES,
  decodeCookieReply,
  decodeInitiation,
  decodeMessageType,
  decodeResponse,
  encodeCookieReply,
  encodeInitiation,
  encodeResponse,
  INITIATION_LENGTH_BYTES,
  isTransportMessage,
  mac1Offset,
  mac2Offset,
  RESPONSE_LENGTH_BYTES,
  readTransportCounter,
  readTransportReceiver,
  sessionRow,
  writeTransportHeader,
} from "../../src/wire/wireguard.ts";

const initiation = {
  senderIndex: 0xfedcba98,
  ephemeral: new Uint8Array(32).fill(1),
  sealedStatic: new Uint8Array(48).fill(2),
  sealedTimestamp: new Uint8Array(28).fill(3),
};
const response = {
  senderIndex: 0x89abcdef,
  receiverIndex: 0xfedcba98,
  ephemeral: new Uint8Array(32).fill(4),
  sealedNothing: new Uint8Array(16).fill(5),
};
const cookieReply = {
  receiverIndex: 0xffffffff,
  nonce: new Uint8Array(24).fill(6),
  sealedCookie: new Uint8Array(32).fill(7),
};

const formats = [
  { name: "initiation", bytes: encodeInitiation(initiation), decode: decodeInitiation, fields: initiation },
  { name: "response", bytes: encodeResponse(response), decode: decodeResponse, fields: response },
  { name: "cookie reply", bytes: encodeCookieReply(cookieReply), decode: decodeCookieReply, fields: cookieReply },
] as const;

test("lengths are the paper's", () => {
  expect([INITIATION_LENGTH_BYTES, RESPONSE_LENGTH_BYTES, COOKIE_REPLY_LENGTH_BYTES]).toEqual([148, 92, 64]);
  expect(formats.map((format) => format.bytes.length)).toEqual([148, 92, 64]);
});

test("the layout is the paper's", () => {
  expect(encodeInitiation(initiation).toHex()).toBe(
    `0100000098badcfe${"01".repeat(32)}${"02".repeat(48)}${"03".repeat(28)}${"00".repeat(32)}`,
  );
  expect(encodeResponse(response).toHex()).toBe(
    `02000000efcdab8998badcfe${"04".repeat(32)}${"05".repeat(16)}${"00".repeat(32)}`,
  );
  expect(encodeCookieReply(cookieReply).toHex()).toBe(`03000000ffffffff${"06".repeat(24)}${"07".repeat(32)}`);
});

describe.each(formats)("an $name", ({ bytes, decode, fields }) => {
  test("comes back as it was, at any offset of a buffer", () => {
    expect(decode(bytes)).toEqual(fields as never);
    const buffer = new Uint8Array(bytes.length + 7).fill(0xee);
    buffer.set(bytes, 3);
    expect(decode(buffer.subarray(3, 3 + bytes.length))).toEqual(fields as never);
  });

  test("is refused at any other length, type, or reserved byte", () => {
    for (let lengthBytes = 0; lengthBytes < bytes.length; lengthBytes++) {
      expect(decode(bytes.subarray(0, lengthBytes))).toBeUndefined();
    }
    expect(decode(Uint8Array.of(...bytes, 0))).toBeUndefined();
    for (let offset = 0; offset < 4; offset++) {
      for (let bit = 0; bit < 8; bit++) {
        const other = bytes.slice();
        other[offset]! ^= 1 << bit;
        expect(decode(other)).toBeUndefined();
      }
    }
  });
});

test("the type of a message needs its three zero bytes", () => {
  expect(decodeMessageType(Uint8Array.of(4, 0, 0, 0))).toBe(4);
  expect(decodeMessageType(Uint8Array.of(4, 0, 0))).toBeUndefined();
  expect(decodeMessageType(Uint8Array.of(4, 0, 1, 0))).toBeUndefined();
});

test("macs are the last 32 bytes", () => {
  expect([mac1Offset(formats[0].bytes), mac2Offset(formats[0].bytes)]).toEqual([116, 132]);
  expect([mac1Offset(formats[1].bytes), mac2Offset(formats[1].bytes)]).toEqual([60, 76]);
});

test("a receiver index carries its row in the low 20 bits", () => {
  expect(sessionRow(0xfff00000)).toBe(0);
  expect(sessionRow(0xabc12345)).toBe(0x12345);
});

describe("the header of transport data", () => {
  test("is the paper's", () => {
    const buffer = new Uint8Array(18).fill(0xee);
    writeTransportHeader(buffer, 1, 0xfedcba98, 2 ** 53 - 2);
    expect(buffer.toHex()).toBe("ee0400000098badcfefeffffffffff1f00ee");
  });

  test("is read as it was written", () => {
    const receiver = fc.integer({ min: 0, max: 0xffffffff });
    fc.assert(
      fc.property(receiver, fc.maxSafeNat(), fc.nat(5), (receiverIndex, counter, offset) => {
        const buffer = new Uint8Array(offset + 16);
        writeTransportHeader(buffer, offset, receiverIndex, counter);
        expect(isTransportMessage(buffer, offset)).toBe(true);
        expect(readTransportReceiver(buffer, offset)).toBe(receiverIndex);
        expect(readTransportCounter(buffer, offset)).toBe(counter);
      }),
    );
  });

  test("of another type, with a reserved byte, or with a counter past 2^53 - 1 is known as such", () => {
    for (const at of [0, 1, 2, 3]) {
      const buffer = new Uint8Array(16);
      writeTransportHeader(buffer, 0, 1, 1);
      buffer[at]! ^= 0x80;
      expect(isTransportMessage(buffer, 0)).toBe(false);
    }
    expect(Number.isSafeInteger(readTransportCounter(new Uint8Array(16).fill(0xff), 0))).toBe(false);
    expect(Number.isSafeInteger(readTransportCounter(new Uint8Array(16).with(14, 0x20), 0))).toBe(false);
  });
});
