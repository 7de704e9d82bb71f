import { expect, test } from "bun:test";
import fc from "fast-check";
import { formatKey, parseKey, shortKey } from "../../src/base/key.ts";

test("any key comes back, in 44 characters", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (key) => {
      expect(formatKey(key)).toHaveLength(44);
      expect(parseKey(formatKey(key))).toEqual(key);
      expect(formatKey(key)).toStartWith(shortKey(key).slice(0, 4));
      expect(shortKey(key)).toHaveLength(5);
    }),
    { seed: 32 },
  );
});

test.each([
  "",
  "AAAA",
  `${"A".repeat(43)}`,
  `${"A".repeat(44)}`,
  `${"A".repeat(42)}==`,
  // The last character before the padding carries four bits; the others have to be zero.
  `${"A".repeat(42)}B=`,
  ` ${"A".repeat(42)}=`,
  `${"A".repeat(43)}=\n`,
  `${"-".repeat(43)}=`,
])("%p is no key", (text) => {
  expect(parseKey(text)).toBeUndefined();
});
