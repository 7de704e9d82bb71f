import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { formatBase32, parseBase32 } from "../../src/base/base32.ts";
import { utf8 } from "../../src/base/bytes.ts";

describe("base32", () => {
  // RFC 4648 section 10, in lower case and without padding.
  test.each([
    ["", ""],
    ["f", "my"],
    ["fo", "mzxq"],
    ["foo", "mzxw6"],
    ["foob", "mzxw6yq"],
    ["fooba", "mzxw6ytb"],
    ["foobar", "mzxw6ytboi"],
  ])("%p is %p", (plain, text) => {
    expect(formatBase32(utf8(plain))).toBe(text);
    expect(parseBase32(text)).toEqual(utf8(plain));
  });

  test.each(["MY", "mz", "m", "my======", "m1", "mzxw6yr", "my "])("refuses %p", (text) => {
    expect(parseBase32(text)).toBeUndefined();
  });

  test("any bytes come back", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        expect(parseBase32(formatBase32(bytes))).toEqual(bytes);
      }),
      { seed: 5 },
    );
  });
});
