/** URLs of registries: what is taken, and that nothing secret is in what people see. */

import { expect, test } from "bun:test";
import { formatPin } from "../../src/registry/pin.ts";
import { formatPinnedUrl, parseRegistryUrl } from "../../src/registry/url.ts";

const PIN = new Uint8Array(32).fill(3);

test("a pinned URL there and back", () => {
  for (const host of ["192.0.2.7", "[2001:db8::7]", "registry.example"]) {
    const parsed = parseRegistryUrl(formatPinnedUrl(host, 7411, PIN));
    expect(parsed).toEqual({ kind: "rest", base: `https://${host}:7411`, pin: PIN, display: `https://${host}:7411` });
  }
});

test("hosted databases, with or without a slash", () => {
  for (const url of ["https://name.example", "https://name.example/"]) {
    expect(parseRegistryUrl(url)).toMatchObject({ kind: "rest", base: "https://name.example", pin: undefined });
  }
});

test("Redis: user and password are not shown", () => {
  const parsed = parseRegistryUrl("rediss://user:hunter2@redis.example:6380/3");
  expect(parsed).toMatchObject({ kind: "redis", display: "rediss://redis.example:6380/3" });
});

test("plain HTTP only to loopback", () => {
  for (const url of ["http://127.0.0.1:80", "http://[::1]:8080", "http://localhost:1"]) {
    expect(parseRegistryUrl(url)).toMatchObject({ kind: "rest" });
  }
  for (const url of ["http://192.0.2.1", "http://127.example", "http://registry.example"]) {
    expect(() => parseRegistryUrl(url)).toThrow("clear");
    expect(parseRegistryUrl(url, { allowPlainHttp: true })).toMatchObject({ kind: "rest" });
  }
});

test.each([
  "",
  "registry.example",
  "ftp://registry.example",
  "https://",
  "https://user:hunter2@registry.example",
  "https://registry.example/?token=hunter2",
  `https://registry.example/#pin=${formatPin(PIN)}x`,
  "https://registry.example/#pin=",
  "https://registry.example/#token=hunter2",
  `http://127.0.0.1/#pin=${formatPin(PIN)}`,
])("refused without repeating it: %p", (text) => {
  let message = "";
  try {
    parseRegistryUrl(text);
  } catch (error) {
    expect(error).toMatchObject({ code: "usage" });
    message = String(error);
  }
  expect(message).toContain("cannot be used");
  expect(message).not.toContain("hunter2");
});
