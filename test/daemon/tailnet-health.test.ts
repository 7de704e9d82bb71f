import { describe, expect, test } from "bun:test";
import { MinitailError } from "../../src/base/errors.ts";
import { addSigner } from "../../src/daemon/decide/add-signer.ts";
import { CLOCK_TOLERANCE_MS, formatSpan, refuseClockOff } from "../../src/daemon/tailnet-clock.ts";
import { type TailnetHealthInput, tailnetHealth } from "../../src/daemon/tailnet-health.ts";
import { openTailnet } from "../../src/daemon/tailnet-start.ts";
import { clockAhead, contextOver, HOUR_MS, makeJoinKey, makeNetwork, recordContent } from "./tailnet-fixture.ts";

describe("clock", () => {
  test.each([
    [0, "0 seconds"],
    [1499, "1 second"],
    [1999, "2 seconds"],
    [59_499, "59 seconds"],
    [59_999, "1 minute"],
    [60_000, "1 minute"],
    [89_999, "1 minute"],
    [HOUR_MS - 1000, "1 hour"],
    [2 * HOUR_MS - 1000, "2 hours"],
    [3 * HOUR_MS, "3 hours"],
    [24 * HOUR_MS - 1000, "1 day"],
    [49 * HOUR_MS, "2 days"],
  ])("%p ms is %p", (spanMs, text) => {
    expect(formatSpan(spanMs)).toBe(text);
  });

  test("some minutes behind are tolerated, more are not", async () => {
    const { state } = (await makeNetwork()).first.tailnet;
    const signedMs = state.newestSignerTimeMs;
    expect(() => refuseClockOff(state, signedMs - CLOCK_TOLERANCE_MS)).not.toThrow();
    expect(() => refuseClockOff(state, signedMs - CLOCK_TOLERANCE_MS - 1)).toThrow("10 minutes behind");
    expect(() => refuseClockOff(state, signedMs + 1000 * HOUR_MS)).not.toThrow();
  });

  test("expiry is never judged earlier than a signer signed, in the chain or in its record", async () => {
    const network = await makeNetwork();
    const two = await network.join("two");
    const behind = contextOver(two.registry, two.store, clockAhead(-HOUR_MS));
    const tailnet = openTailnet(behind)!;
    const signedMs = tailnet.state.newestSignerTimeMs;
    expect(tailnet.judgedTimeMs()).toBe(signedMs);
    const ahead = openTailnet(contextOver(network.first.registry, network.first.store, clockAhead(HOUR_MS)))!;
    await ahead.publishRecord(recordContent(network.first.context));
    await tailnet.sync();
    expect(tailnet.judgedTimeMs()).toBeGreaterThan(signedMs + HOUR_MS / 2);
    expect(tailnet.health().map(({ code }) => code)).toContain("clock-off");
  });

  test("the time of a member who is no signer moves nothing", async () => {
    const network = await makeNetwork();
    const two = await network.join("two");
    const ahead = openTailnet(contextOver(two.registry, two.store, clockAhead(HOUR_MS)))!;
    await ahead.publishRecord(recordContent(two.context));
    await network.first.tailnet.sync();
    expect(network.first.tailnet.records.size).toBe(1);
    expect(network.first.tailnet.judgedTimeMs()).toBeLessThan(Date.now() + HOUR_MS / 2);
  });

  test("nor does that of a signer who only admits, in the chain or in its record", async () => {
    const network = await makeNetwork();
    const two = await network.join("two");
    await network.first.tailnet.sync();
    await addSigner(network.first.tailnet, "two", "admit");
    const ahead = openTailnet(contextOver(two.registry, two.store, clockAhead(HOUR_MS)))!;
    await ahead.publishRecord(recordContent(two.context));
    await ahead.sync();
    await makeJoinKey(ahead);
    await network.first.tailnet.sync();
    expect(network.first.tailnet.state.joinKeys.size).toBe(2);
    expect(network.first.tailnet.records.get(two.tailnet.selfId)!.timeMs).toBeGreaterThan(Date.now() + HOUR_MS / 2);
    expect(network.first.tailnet.judgedTimeMs()).toBeLessThan(Date.now() + HOUR_MS / 2);
  });
});

describe("health", () => {
  const cases: [string, Partial<TailnetHealthInput>, string[]][] = [
    ["all well", {}, []],
    ["a newer version's statement", { stoppedAt: 7 }, ["newer-version-needed"]],
    ["a clone", { identityUsedTwice: true }, ["identity-used-twice"]],
    ["lost data", { registryLostData: true }, ["registry-lost-data"]],
    ["a fork", { forks: [{ number: 9, hash: new Uint8Array(32).fill(0xab) }] }, ["fork"]],
    ["a decision that waits", { heldWrites: 1 }, ["writes-held"]],
    ["a clock behind", { newestSignedMs: 2 * HOUR_MS }, ["clock-off"]],
    ["a full disk", { failure: new MinitailError("state-unwritable", "full") }, ["state-unwritable"]],
    ["a weak secret", { secretBits: 79 }, ["weak-secret"]],
    ["a strong secret", { secretBits: 80 }, []],
    ["a bug", { failure: new Error("x") }, ["internal"]],
  ];

  test.each(cases)("%s", async (_what, extra, codes) => {
    const network = await makeNetwork();
    await network.join("two");
    await network.first.tailnet.sync();
    await addSigner(network.first.tailnet, "two", "all");
    const input: TailnetHealthInput = {
      state: network.first.tailnet.state,
      newestSignedMs: 0,
      stoppedAt: undefined,
      identityUsedTwice: false,
      registryLostData: false,
      head: network.first.tailnet.chain.head,
      forks: [],
      heldWrites: 0,
      secretBits: undefined,
      failure: undefined,
      ...extra,
    };
    const items = tailnetHealth(input, HOUR_MS);
    expect(items.map(({ code }) => code)).toEqual(codes);
    for (const { message, hint } of items) expect(message.length * hint.length).toBeGreaterThan(0);
  });

  test("one signer alone is warned of until there is another who can remove machines", async () => {
    const network = await makeNetwork();
    const codes = () => network.first.tailnet.health().map(({ code }) => code);
    expect(codes()).toEqual([]);
    await network.join("two");
    await network.join("three");
    await network.first.tailnet.sync();
    expect(codes()).toEqual(["one-signer"]);
    await addSigner(network.first.tailnet, "two", "admit");
    expect(codes()).toEqual(["one-signer"]);
    await addSigner(network.first.tailnet, "three", "all");
    expect(codes()).toEqual([]);
  });
});
