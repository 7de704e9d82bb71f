import { describe, expect, test } from "bun:test";
import { concatBytes, formatBase64Url, parseBase64Url } from "../../src/base/bytes.ts";
import { isMinitailError } from "../../src/base/errors.ts";
import { formatJoinKey, type JoinKey, joinKeyIdOf, joinKeyPairs, parseJoinKey } from "../../src/trust/join-key.ts";
import { makeTailnet, seededRandom } from "./fixture.ts";

const { chain } = makeTailnet();
const random = seededRandom("join key");
const key: JoinKey = {
  registries: [
    { urls: ["https://192.0.2.7:7411", "https://[2001:db8::1]:7411"], token: "embedded-token", pin: random(32) },
    { urls: ["rediss://redis.example.com"], token: "", pin: undefined },
  ],
  tailnetId: chain.tailnetId,
  head: { number: chain.head.number, hash: chain.head.hash.slice(0, 16) },
  epoch: { epoch: 3, networkKeyHash: new Uint8Array(16).fill(7) },
  seed: random(16),
};
const text = formatJoinKey(key);

function codeOf(malformed: string): string {
  try {
    parseJoinKey(malformed);
    return "parsed";
  } catch (error) {
    if (!isMinitailError(error)) throw error;
    for (let i = 0; i + 12 <= text.length; i++) expect(error.message).not.toContain(text.slice(i, i + 12));
    return error.code;
  }
}

describe("join key", () => {
  test("comes back, with white space around it too", () => {
    expect(text).toMatch(/^mt1:[A-Za-z0-9_-]+$/);
    expect(parseJoinKey(text)).toEqual(key);
    expect(parseJoinKey(`\n  ${text}\r\n`)).toEqual(key);
  });

  test("cut anywhere it is malformed", () => {
    for (let length = 0; length < text.length; length++) {
      expect(codeOf(text.slice(0, length))).toBe("join-key-malformed");
      expect(codeOf(text.slice(text.length - length))).toBe("join-key-malformed");
    }
  });

  test("changed at any character, or with one swapped, doubled or missing, it is malformed", () => {
    for (let i = 0; i < text.length; i++) {
      const other = text[i] === "A" ? "B" : "A";
      expect(codeOf(text.slice(0, i) + other + text.slice(i + 1))).toBe("join-key-malformed");
      expect(codeOf(text.slice(0, i) + text.slice(i + 1))).toBe("join-key-malformed");
      expect(codeOf(text.slice(0, i) + text[i] + text.slice(i))).toBe("join-key-malformed");
      if (i > 0 && text[i] !== text[i - 1]) {
        expect(codeOf(text.slice(0, i - 1) + text[i] + text[i - 1] + text.slice(i + 1))).toBe("join-key-malformed");
      }
    }
  });

  test.each(["", "mt1:", "mt2:AAAA", "hello", `${text} x`, text.replace(":", ": "), `mt1:${"A".repeat(40_000)}`])(
    "%p is malformed",
    (malformed) => {
      expect(codeOf(malformed)).toBe("join-key-malformed");
    },
  );

  test.each([
    ["no registry", { registries: [] }],
    ["a registry without a URL", { registries: [{ urls: [], token: "", pin: undefined }] }],
    ["a URL of another scheme", { registries: [{ urls: ["ftp://192.0.2.7"], token: "", pin: undefined }] }],
  ])("with %s it is malformed", (_what, extra) => {
    expect(codeOf(formatJoinKey({ ...key, ...extra }))).toBe("join-key-malformed");
  });

  test("a right check over other content does not help", () => {
    const bytes = parseBase64Url(text.slice(4))!;
    expect(codeOf(`mt1:${formatBase64Url(concatBytes(bytes, bytes))}`)).toBe("join-key-malformed");
  });

  test("its keys follow from the seed alone", () => {
    const pairs = joinKeyPairs(key.seed);
    expect(joinKeyPairs(key.seed)).toEqual(pairs);
    expect(joinKeyPairs(random(16)).signing.publicKey).not.toEqual(pairs.signing.publicKey);
    expect(pairs.seal.privateKey).not.toEqual(pairs.signing.privateKey);
    expect(joinKeyIdOf(pairs.signing.publicKey)).toMatch(/^k[a-z2-7]{16}$/);
  });
});
