import { describe, expect, test } from "bun:test";
import { isName, normalizeName, pickName } from "../../src/trust/name.ts";

describe("names", () => {
  test.each([
    ["bombe", "bombe"],
    ["Bombe.example.com", "bombe"],
    ["Büro PC", "buro-pc"],
    ["my_host--1", "my-host-1"],
    ["-a-", "a"],
    ["", "node"],
    ["...", "node"],
    ["日本", "node"],
    ["localhost", "node-localhost"],
    ["WPAD", "node-wpad"],
    ["isatap", "node-isatap"],
    ["_dmarc", "dmarc"],
    ["10", "node-10"],
    ["0x7f", "node-0x7f"],
    ["naaaaaaaaaaaaaaaa", "node-naaaaaaaaaaaaaaaa"],
    ["x".repeat(80), "x".repeat(63)],
    [`${"x".repeat(62)}-y`, "x".repeat(62)],
  ])("%p becomes %p", (text, name) => {
    expect(normalizeName(text)).toBe(name);
    expect(isName(name)).toBe(true);
  });

  test.each([
    "",
    "-a",
    "a-",
    "A",
    "a.b",
    "a_b",
    "_a",
    "x".repeat(64),
    "wpad",
    "isatap",
    "localhost",
    "7",
    "0x1",
    "naaaaaaaaaaaaaaaa",
    "a\n",
  ])("%p is no name", (text) => {
    expect(isName(text)).toBe(false);
  });

  test("a taken name gets the next free number", () => {
    const taken = new Set(["a", "a-1"]);
    expect(pickName("b", (name) => taken.has(name))).toBe("b");
    expect(pickName("a", (name) => taken.has(name))).toBe("a-2");
    const long = "x".repeat(63);
    expect(pickName(long, (name) => name === long)).toBe(`${"x".repeat(61)}-1`);
    expect(pickName(`${"x".repeat(60)}-yy`, (name) => !name.endsWith("1"))).toBe(`${"x".repeat(60)}-1`);
  });
});
