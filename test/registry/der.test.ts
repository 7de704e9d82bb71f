/** DER as X.690 gives it, by its own examples. */

import { expect, test } from "bun:test";
import { formatHex, parseHex } from "../../src/base/bytes.ts";
import { encodeBitString, encodeElement, encodeInteger, encodeObjectIdentifier } from "../../src/registry/der.ts";

test.each([
  ["00", "020100"],
  ["7f", "02017f"],
  ["80", "02020080"],
  ["0000", "020100"],
  ["000080", "02020080"],
  ["0100", "02020100"],
])("integer %s", (magnitude, der) => {
  expect(formatHex(encodeInteger(parseHex(magnitude)!))).toBe(der);
});

test.each([
  ["1.2.840.113549", "06062a864886f70d"],
  ["2.5.4.3", "0603550403"],
  ["1.2.840.10045.4.3.2", "06082a8648ce3d040302"],
])("object identifier %s", (dotted, der) => {
  expect(formatHex(encodeObjectIdentifier(dotted))).toBe(der);
});

test.each([
  [0x7f, "047f"],
  [0x80, "048180"],
  [0xff, "0481ff"],
  [0x100, "04820100"],
  [0x10000, "0483010000"],
])("length %p", (lengthBytes, der) => {
  const element = encodeElement(0x04, new Uint8Array(lengthBytes));
  expect(formatHex(element.subarray(0, der.length / 2))).toBe(der);
  expect(element.length).toBe(der.length / 2 + lengthBytes);
});

test("a bit string counts its unused bits", () => {
  expect(formatHex(encodeBitString(parseHex("0a3b")!))).toBe("0303000a3b");
});
