import { expect, test } from "bun:test";
import { errorOfReply, unreachable } from "../../src/registry/registry-errors.ts";

test.each([
  ["WRONGPASS invalid or missing auth token", "wrong-token"],
  ["NOPERM this token only reads: the registry has a newer one", "wrong-token"],
  [
    "EXECABORT Transaction discarded because of: NOPERM this token only reads: the registry has a newer one",
    "wrong-token",
  ],
  ["EXECABORT Transaction discarded because of: ERR limit exceeded: too many keys", "registry-refused"],
  ["EXECABORT Transaction discarded because of previous errors.", "registry-refused"],
  ["ERR anything", "registry-refused"],
])("%s: %s", (text, code) => {
  const error = errorOfReply(text);
  expect(error.code).toBe(code as typeof error.code);
  expect(error.message).not.toContain("because of:");
});

test.each([
  ["EHOSTUNREACH", "no route to host"],
  ["ENETUNREACH", "network is unreachable"],
  ["EAI_AGAIN", "the name cannot be looked up now"],
  ["ENOTFOUND", "no such host"],
])("%s: %s", (code, reason) => {
  const cause = Object.assign(new Error(`getaddrinfo ${code} host`), { code });
  expect(unreachable("https://r", cause).message).toBe(`cannot reach the registry https://r: ${reason}`);
});
