import { describe, expect, test } from "bun:test";
import { upstashRegistry } from "../../src/cli/upstash-environment.ts";

const URL = "https://eu1-x.upstash.io";
const BOTH = { UPSTASH_REDIS_REST_URL: URL, UPSTASH_REDIS_REST_TOKEN: "t" };
const NONE = { registryUrl: undefined, token: undefined, secret: undefined };

describe("Upstash's variables", () => {
  test("a bare up does not look at them", () => {
    expect(upstashRegistry(NONE, BOTH)).toEqual({ registryUrl: undefined, token: undefined });
  });

  test("a secret network is kept where they say", () => {
    expect(upstashRegistry({ ...NONE, secret: "s" }, BOTH)).toEqual({ registryUrl: URL, token: "t" });
  });

  test("the token for a URL given by hand", () => {
    const flags = { ...NONE, registryUrl: URL };
    expect(upstashRegistry(flags, BOTH).token).toBe("t");
    expect(upstashRegistry(flags, { UPSTASH_REDIS_REST_TOKEN: "t" }).token).toBe("t");
  });

  test("the token goes nowhere else", () => {
    expect(upstashRegistry({ ...NONE, registryUrl: "https://other" }, BOTH).token).toBeUndefined();
    expect(upstashRegistry({ ...NONE, registryUrl: "redis://h" }, BOTH).token).toBeUndefined();
  });

  test("flags win", () => {
    const flags = { registryUrl: "https://other", token: "mine", secret: "s" };
    expect(upstashRegistry(flags, BOTH)).toEqual({ registryUrl: "https://other", token: "mine" });
  });
});
