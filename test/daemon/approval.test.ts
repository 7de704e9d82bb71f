/** Joining by approval, over a registry in memory that tells the truth or not. */

import { afterEach, describe, expect, test } from "bun:test";
import type { Clock } from "../../src/base/clock.ts";
import { enterApproved } from "../../src/daemon/approved-start.ts";
import {
  type AskOptions,
  askForApproval,
  type FoundAnswer,
  type PendingApproval,
} from "../../src/daemon/ask-approval.ts";
import { addSigner } from "../../src/daemon/decide/add-signer.ts";
import { approveMachine, findAskingMachine } from "../../src/daemon/decide/approve-machine.ts";
import { removeNode } from "../../src/daemon/decide/remove-node.ts";
import type { Tailnet } from "../../src/daemon/tailnet.ts";
import type { TailnetContext } from "../../src/daemon/tailnet-context.ts";
import {
  approvalKeys,
  formatApprovalCode,
  generateApprovalCode,
  sealApprovalAnswer,
} from "../../src/trust/approval.ts";
import { type MachineIdentity, nodeIdOf } from "../../src/trust/identity.ts";
import { NO_TERMS } from "../../src/trust/terms.ts";
import { type MemoryDatabase, MemoryRegistry } from "./memory-registry.ts";
import {
  addressOf,
  clockAhead,
  contextOver,
  HOUR_MS,
  type Member,
  makeNetwork,
  outcome,
  TOKEN,
} from "./tailnet-fixture.ts";

const MINUTE_MS = 60_000;
const REGISTRIES = [{ urls: ["https://192.0.2.1:7411"], token: TOKEN, pin: undefined }];

/** A clock on which whoever waits has waited, a turn of the event loop later. */
function skippingClock(): Clock {
  let skippedMs = 0;
  return {
    nowMs: () => Date.now() + skippedMs,
    monotonicMs: () => performance.now() + skippedMs,
    after(delayMs, action) {
      const timer = setImmediate(() => {
        skippedMs += delayMs;
        action();
      });
      return { cancel: () => clearImmediate(timer) };
    },
  };
}

/** Whose time flies would ask at every turn of the event loop, for as long as the process lives. */
const everyAsking: Asking[] = [];
afterEach(() => {
  for (const { stop } of everyAsking.splice(0)) stop.abort();
});

/** A machine that asks, and what it has shown. */
class Asking {
  readonly context: TailnetContext;
  readonly registry: MemoryRegistry;
  readonly shown: PendingApproval[] = [];
  readonly stop = new AbortController();
  answer: Promise<FoundAnswer> = Promise.reject(new Error("not asked"));

  constructor(database: MemoryDatabase, store?: Member["store"]) {
    this.registry = new MemoryRegistry(database);
    this.context = contextOver(this.registry, store);
    this.answer.catch(() => {});
    everyAsking.push(this);
  }

  get id(): string {
    return nodeIdOf(this.context.identity.machineKey.publicKey);
  }

  /** Asks, and answers the code once the request lies there. */
  ask(name: string, extra: Partial<AskOptions> = {}): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<string>();
    this.answer = askForApproval({
      registry: this.registry,
      identity: this.context.identity,
      name,
      clock: skippingClock(),
      random: this.context.random,
      signal: this.stop.signal,
      pending: undefined,
      onCode() {},
      onAsked: (pending) => {
        this.shown.push(pending);
        resolve(formatApprovalCode(pending.code));
      },
      ...extra,
    });
    this.answer.catch(() => {});
    return promise;
  }

  async enter(): Promise<Tailnet> {
    return enterApproved(this.context, (await this.answer).answer);
  }
}

function publicKeys({ machineKey, sealKey }: MachineIdentity) {
  return { machineKey: machineKey.publicKey, sealKey: sealKey.publicKey };
}

function approve(tailnet: Tailnet, code: string, id: string, terms = NO_TERMS) {
  return approveMachine(tailnet, { code, id, terms, registries: REGISTRIES });
}

function remove(tailnet: Tailnet, id: string) {
  return removeNode(tailnet, { node: id, withMachines: false });
}

describe("approval", () => {
  test("a machine asks, a signer sees what asks and lets it in, it enters as what the signer saw", async () => {
    const { first, database } = await makeNetwork();
    const asking = new Asking(database);
    const code = await asking.ask("Red Laptop");
    expect(code).toMatch(/^[a-z2-7]{4}(-[a-z2-7]{4}){3}$/);
    expect(await findAskingMachine(first.tailnet, code)).toEqual({ id: asking.id, name: "red-laptop", former: null });
    const terms = { ...NO_TERMS, user: "ada", tags: ["tag:server"] };
    const member = await approve(first.tailnet, code.toUpperCase().replaceAll("-", " "), asking.id, terms);
    const tailnet = await asking.enter();
    expect(tailnet.selfId).toBe(asking.id);
    expect([tailnet.self!.name, addressOf(tailnet), tailnet.self!.terms]).toEqual(["red-laptop", "10.11.12.2", terms]);
    expect(tailnet.self).toEqual(member);
    expect(tailnet.chain.head).toEqual(first.tailnet.chain.head);
    expect(tailnet.epochSecret).toEqual(first.tailnet.epochSecret);
    expect((await asking.answer).answer.registries).toEqual(REGISTRIES);
    expect(tailnet.signer("admit")).toBeUndefined();
  });

  test("the code is in nothing that the registry is sent", async () => {
    const { first, database } = await makeNetwork();
    const asking = new Asking(database);
    const code = await asking.ask("red-laptop");
    await approve(first.tailnet, code, asking.id);
    await asking.enter();
    const sent = JSON.stringify([asking.registry.sent, first.registry.sent]).toLowerCase();
    const { code: bytes } = asking.shown[0]!;
    for (const form of [
      code,
      code.replaceAll("-", ""),
      bytes.toHex(),
      bytes.toBase64(),
      bytes.toBase64({ alphabet: "base64url" }),
    ]) {
      expect(sent).not.toContain(form.toLowerCase());
    }
    expect(sent).not.toContain("red-laptop");
    expect(sent).not.toContain(asking.id);
  });

  test("a code that is mistyped, that nobody asks with, that was answered, that is too old", async () => {
    const { first, database } = await makeNetwork();
    const asking = new Asking(database);
    const code = await asking.ask("laptop");
    expect(await outcome(findAskingMachine(first.tailnet, "abcd"))).toBe("usage");
    const other = formatApprovalCode(generateApprovalCode(first.context.random));
    expect(await outcome(findAskingMachine(first.tailnet, other))).toBe("approval-unknown");
    await approve(first.tailnet, code, asking.id);
    expect(await outcome(findAskingMachine(first.tailnet, code))).toBe("approval-answered");
    expect(await outcome(approve(first.tailnet, code, asking.id))).toBe("approval-answered");
    expect(first.tailnet.state.members.size).toBe(2);
    const late = await new Asking(database).ask("late");
    // The registry's own clock ends it.
    for (const key of database.values.keys()) database.values.delete(key);
    expect(await outcome(approve(first.tailnet, late, asking.id))).toBe("approval-unknown");
  });

  test("after ten minutes without an answer it asks with another code", async () => {
    const { database } = await makeNetwork();
    const asking = new Asking(database);
    void asking.ask("laptop", {
      onAsked(pending) {
        if (asking.shown.push(pending) > 2) asking.stop.abort();
      },
    });
    expect(await outcome(asking.answer)).toBe("not-approved");
    const [a, b, c] = asking.shown;
    expect(new Set([a, b, c].map((pending) => formatApprovalCode(pending!.code))).size).toBe(3);
    expect(b!.expiresAtMs - a!.expiresAtMs).toBeGreaterThanOrEqual(10 * MINUTE_MS);
    const polls = asking.registry.sent.filter(([name]) => name === "GET").length / 2;
    expect(polls).toBeGreaterThan(100);
    expect(polls).toBeLessThan(150);
  }, 20_000);

  test("a start after a crash goes on with the code that was shown", async () => {
    const { first, database } = await makeNetwork();
    const before = new Asking(database);
    const code = await before.ask("laptop");
    before.stop.abort();
    await before.answer.catch(() => {});
    await approve(first.tailnet, code, before.id);
    const after = new Asking(database, undefined);
    const context = { ...after.context, identity: before.context.identity };
    const found = await askForApproval({
      registry: after.registry,
      identity: before.context.identity,
      name: "laptop",
      clock: skippingClock(),
      random: context.random,
      signal: after.stop.signal,
      pending: before.shown[0],
      onCode() {},
      onAsked() {},
    });
    expect((await enterApproved(context, found.answer)).selfId).toBe(before.id);
  });

  test("only signers look and approve; who only admits may, but brings no removed machine back", async () => {
    const network = await makeNetwork();
    const { first, database } = network;
    const two = await network.join("two");
    const asking = new Asking(database);
    const code = await asking.ask("laptop");
    expect(await outcome(findAskingMachine(two.tailnet, code))).toBe("not-signer");
    expect(await outcome(approve(two.tailnet, code, asking.id))).toBe("not-signer");
    await first.tailnet.sync();
    await addSigner(first.tailnet, "two", "admit");
    await two.tailnet.sync();
    await approve(two.tailnet, code, asking.id);
    expect((await asking.enter()).self!.name).toBe("laptop");
    await first.tailnet.sync();
    await remove(first.tailnet, asking.id);
    await two.tailnet.sync();
    const again = await asking.ask("laptop");
    expect(await findAskingMachine(two.tailnet, again)).toMatchObject({ former: { name: "laptop", how: "revoked" } });
    expect(await outcome(approve(two.tailnet, again, asking.id))).toBe("not-signer");
    await approve(first.tailnet, again, asking.id);
    // Its name was reserved for it.
    expect((await asking.enter()).self!.name).toBe("laptop");
  });

  test("of two signers who answer at once one has answered, and the machine is one member", async () => {
    const network = await makeNetwork();
    const { first, database } = network;
    const two = await network.join("two");
    await first.tailnet.sync();
    await addSigner(first.tailnet, "two", "admit");
    await two.tailnet.sync();
    const asking = new Asking(database);
    const code = await asking.ask("red-laptop");
    const answers = [first, two].map(({ tailnet }) => outcome(approve(tailnet, code, asking.id)));
    expect((await Promise.all(answers)).sort()).toEqual(["approval-answered", "done"]);
    expect((await asking.enter()).state.members.size).toBe(3);
  });

  test("a machine whose clock is far behind is told so when it enters", async () => {
    const { first, database } = await makeNetwork();
    const asking = new Asking(database);
    await approve(first.tailnet, await asking.ask("red-laptop"), asking.id);
    const { answer } = await asking.answer;
    const behind = { ...asking.context, clock: clockAhead(-3 * HOUR_MS) };
    expect(await outcome(enterApproved(behind, answer))).toBe("clock-off");
    expect(await outcome(asking.enter())).toBe("done");
  });

  test("the machine that was looked at is the one that is admitted", async () => {
    const { first, database } = await makeNetwork();
    const [one, two] = [new Asking(database), new Asking(database)];
    const code = await one.ask("one");
    await two.ask("two");
    expect(await outcome(approve(first.tailnet, code, two.id))).toBe("approval-unknown");
    expect(first.tailnet.state.members.size).toBe(1);
  });

  test("tried again after the registry was gone half-way, it admits once and answers", async () => {
    const { first, database } = await makeNetwork();
    const asking = new Asking(database);
    const code = await asking.ask("laptop");
    const { set } = first.registry;
    first.registry.set = () => outcomeOfGone();
    expect(await outcome(approve(first.tailnet, code, asking.id))).toBe("registry-unreachable");
    first.registry.set = set;
    await approve(first.tailnet, code, asking.id);
    await asking.enter();
    expect(first.tailnet.state.members.size).toBe(2);
  });
});

async function outcomeOfGone(): Promise<never> {
  const { MinitailError } = await import("../../src/base/errors.ts");
  throw new MinitailError("registry-unreachable", "gone");
}

describe("a hostile registry", () => {
  test("requests and answers that it makes up, swaps or repeats let nobody in", async () => {
    const { first, database } = await makeNetwork();
    const [one, two] = [new Asking(database), new Asking(database)];
    const codes = [await one.ask("one"), await two.ask("two")];
    const keys = [one, two].map(({ shown }) => approvalKeys(shown[0]!.code));
    const [placeOne, placeTwo] = keys.map(({ locator }) => `ask:${locator}`);
    const requests = [placeOne!, placeTwo!].map((place) => database.values.get(place)!);
    database.values.set(placeOne!, requests[1]!);
    database.values.set(placeTwo!, `${requests[1]!.slice(0, -4)}AAAA`);
    for (const [i, code] of codes.entries()) {
      expect(await outcome(approve(first.tailnet, code, [one, two][i]!.id))).toBe("approval-unknown");
    }
    // An answer to the one is none to the other; nor is one that was made without the code.
    const answer = {
      tailnetId: first.tailnet.chain.tailnetId,
      head: first.tailnet.chain.head,
      epoch: { epoch: 0, networkKeyHash: new Uint8Array(16) },
      registries: REGISTRIES,
    };
    const { random, identity } = two.context;
    const stranger = approvalKeys(generateApprovalCode(random));
    for (const sealed of [
      sealApprovalAnswer(answer, publicKeys(identity), stranger, random),
      sealApprovalAnswer(answer, publicKeys(one.context.identity), keys[1]!, random),
      new Uint8Array(400),
    ]) {
      database.values.set(`${placeTwo}:answer`, sealed.toBase64({ alphabet: "base64url", omitPadding: true }));
      const asked = two.registry.sent.length;
      while (two.registry.sent.length < asked + 3) await new Promise((resolve) => setImmediate(resolve));
    }
    two.stop.abort();
    expect(await outcome(two.answer)).toBe("not-approved");
    one.stop.abort();
    expect(first.tailnet.state.members.size).toBe(1);
  });

  test("it can hold the admission back, not put the machine into an older chain or another tailnet's", async () => {
    const { first, database } = await makeNetwork();
    const asking = new Asking(database);
    await approve(first.tailnet, await asking.ask("laptop"), asking.id);
    await asking.answer;
    const list = database.list(":chain");
    const admission = list.pop()!;
    expect(await outcome(asking.enter())).toBe("chain-too-old");
    list.push(admission);
    await remove(first.tailnet, asking.id);
    expect(await outcome(asking.enter())).toBe("machine-removed");
    list.pop();
    list.length = 0;
    expect(await outcome(asking.enter())).toBe("join-key-unknown");
  });
});
