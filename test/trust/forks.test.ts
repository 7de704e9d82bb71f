import { describe, expect, test } from "bun:test";
import { formatHex } from "../../src/base/bytes.ts";
import { Branch } from "../../src/trust/branch.ts";
import type { Chain } from "../../src/trust/chain.ts";
import { Forks, MOST_BRANCHES } from "../../src/trust/forks.ts";
import { type MachineIdentity, nodeIdOf, type SigningKeyPair } from "../../src/trust/identity.ts";
import { joinKeyIdOf, joinKeyPairs } from "../../src/trust/join-key.ts";
import type { StatementDraft } from "../../src/trust/statement.ts";
import { accept, admitJoinKey, joinBody, joinKeyBody, machine, makeTailnet, NOW_MS, seededRandom } from "./fixture.ts";

const idOf = ({ machineKey }: MachineIdentity) => nodeIdOf(machineKey.publicKey);

function say(chain: Chain, body: StatementDraft["body"], author: SigningKeyPair, timeMs = NOW_MS): void {
  accept(chain, chain.sign(body, timeMs, author));
}

function join(chain: Chain, name: string, address: string, by: SigningKeyPair): MachineIdentity {
  const identity = machine(name);
  accept(chain, chain.sign(joinBody(identity, address, name), NOW_MS, by, identity.machineKey));
  return identity;
}

/** Three signers, in this order; a member, a reusable key, and the place where branches part. */
function scene() {
  const tailnet = makeTailnet();
  const { chain, signer, first } = tailnet;
  accept(chain, chain.sign(joinBody(first, "10.11.12.1", "first"), NOW_MS, signer, first.machineKey));
  const second = join(chain, "second", "10.11.12.2", signer);
  const third = join(chain, "third", "10.11.12.3", signer);
  for (const { machineKey } of [second, third])
    say(chain, { kind: "admit-signer", publicKey: machineKey.publicKey, scope: "all" }, signer);
  const fleet = admitJoinKey(tailnet, "fleet", { reusable: true });
  const member = join(chain, "member", "10.11.12.4", fleet.signing);
  const other = chain.copy();
  const forkNumber = chain.head.number + 1;
  const tail = (branch: Chain) => branch.statements.slice(forkNumber);
  return { ...tailnet, own: chain, other, second, third, fleet, member, forkNumber, tail };
}
type Scene = ReturnType<typeof scene>;

/** The member renames itself: a statement that makes the branches differ and matters to nobody. */
function part({ own, other, member }: Scene): void {
  say(own, { kind: "rename", name: "own" }, member.machineKey);
  say(other, { kind: "rename", name: "other" }, member.machineKey);
}

describe("an offer", () => {
  test("of what we have is known, of what follows our head is for our chain", () => {
    const s = scene();
    const forks = new Forks(s.other);
    say(s.own, { kind: "rename", name: "x" }, s.member.machineKey);
    say(s.own, { kind: "rename", name: "y" }, s.member.machineKey);
    expect(forks.offer(s.own.statements.slice(1, s.forkNumber))).toBe("known");
    expect(forks.offer([])).toBe("known");
    expect(forks.offer(s.own.statements.slice(3))).toBe("follows");
    expect(forks.branches).toEqual([]);
  });

  test("of another branch is held, continued from where it ended, and known then", () => {
    const s = scene();
    part(s);
    const forks = new Forks(s.own);
    expect(forks.offer(s.tail(s.other))).toBe("held");
    say(s.other, { kind: "rename", name: "more" }, s.member.machineKey);
    expect(forks.offer(s.other.statements.slice(-1))).toBe("held");
    expect(forks.offer(s.tail(s.other))).toBe("known");
    expect(forks.branches).toHaveLength(1);
    expect(forks.branches[0]).toMatchObject({ forkNumber: s.forkNumber, head: s.other.head });
    expect(forks.branches[0]!.firstHash).toEqual(s.other.hashAt(s.forkNumber)!);
    expect(forks.branches[0]!.statements).toEqual(s.tail(s.other));
    expect(s.own.state.names.has("other")).toBe(false);
  });

  test("of a branch of a branch is held beside it", () => {
    const s = scene();
    part(s);
    const another = s.other.copy();
    say(s.other, { kind: "rename", name: "left" }, s.member.machineKey);
    say(another, { kind: "rename", name: "right" }, s.member.machineKey);
    const forks = new Forks(s.own);
    expect(forks.offer(s.tail(s.other))).toBe("held");
    expect(forks.offer(another.statements.slice(-1))).toBe("held");
    expect(forks.branches.map(({ head }) => head)).toEqual([s.other.head, another.head]);
  });

  test("that does not verify, or hangs on nothing, is refused", () => {
    const s = scene();
    part(s);
    const stranger = machine("stranger");
    const forged = s.tail(s.other)[0]!.slice();
    forged[forged.length - 1]! ^= 1;
    const byStranger = s.own.prefix(s.forkNumber - 1).sign({ kind: "leave" }, NOW_MS, stranger.machineKey);
    const forks = new Forks(s.own);
    expect(forks.offer([forged])).toBe("refused");
    expect(forks.offer([byStranger])).toBe("refused");
    expect(forks.offer([new Uint8Array(300)])).toBe("refused");
    expect(forks.offer(s.own.statements)).toBe("refused");
    expect(forks.offer([s.tail(s.other)[0]!, s.own.statements[3]!])).toBe("refused");
    expect(forks.offer(makeTailnet("other").chain.statements.slice(1))).toBe("refused");
    say(s.other, { kind: "rename", name: "more" }, s.member.machineKey);
    expect(forks.offer(s.other.statements.slice(-1))).toBe("refused");
    expect(forks.branches).toEqual([]);
  });

  test("is held as far as it verifies", () => {
    const s = scene();
    part(s);
    const forks = new Forks(s.own);
    const draft = s.other.copy();
    const bad = draft.sign({ kind: "revoke", machine: idOf(s.second) }, NOW_MS, s.member.machineKey);
    expect(forks.offer([...s.tail(s.other), bad])).toBe("held");
    expect(forks.branches[0]!.head).toEqual(s.other.head);
    expect(forks.removals.machines.size).toBe(0);
    expect(Branch.from(s.own, [bad])).toBeUndefined();
  });

  test("that differs in a signature alone is no other branch", () => {
    const s = scene();
    part(s);
    const forks = new Forks(s.own);
    forks.offer(s.tail(s.other));
    const resigned = s.tail(s.other)[0]!.slice();
    resigned[resigned.length - 1]! ^= 1;
    expect(forks.offer([resigned])).toBe("known");
  });
});

describe("of the other branch is obeyed", () => {
  /** What a node on `own` obeys after `other` was shown to it. */
  function removalsAfter(s: Scene): { machines: string[]; joinKeys: string[]; signers: string[] } {
    const forks = new Forks(s.own);
    expect(forks.offer(s.tail(s.other))).toBe("held");
    const { machines, joinKeys, signers } = forks.removals;
    return { machines: [...machines], joinKeys: [...joinKeys], signers: [...signers] };
  }
  const NOTHING = { machines: [], joinKeys: [], signers: [] };

  test("a machine's removal, with the join key that it came by", () => {
    const s = scene();
    part(s);
    say(s.other, { kind: "revoke", machine: idOf(s.member) }, s.second.machineKey);
    expect(removalsAfter(s)).toEqual({
      machines: [idOf(s.member)],
      joinKeys: [joinKeyIdOf(s.fleet.signing.publicKey)],
      signers: [],
    });
    expect(s.own.state.members.has(idOf(s.member))).toBe(true);
  });

  test("a signer's removal, and a signer's machine's, with the join keys it created", () => {
    for (const kind of ["remove-signer", "revoke"] as const) {
      const s = scene();
      const own = joinKeyPairs(seededRandom("own")(16));
      say(s.own, joinKeyBody(own), s.third.machineKey);
      part(s);
      const { publicKey } = s.third.machineKey;
      const body = kind === "revoke" ? { kind, machine: idOf(s.third) } : { kind, publicKey };
      say(s.other, body, s.second.machineKey);
      expect(removalsAfter(s)).toEqual({
        machines: kind === "revoke" ? [idOf(s.third)] : [],
        joinKeys: [joinKeyIdOf(own.signing.publicKey)],
        signers: [formatHex(publicKey)],
      });
    }
  });

  test("a machine's own leaving", () => {
    const s = scene();
    part(s);
    say(s.other, { kind: "leave" }, s.member.machineKey);
    expect(removalsAfter(s)).toEqual({ ...NOTHING, machines: [idOf(s.member)] });
  });

  test("not the leaving of a machine that came back on our branch", () => {
    const s = scene();
    const back = joinBody(s.member, "10.11.12.7", "member");
    say(s.own, { kind: "leave" }, s.member.machineKey);
    accept(s.own, s.own.sign(back, NOW_MS, s.fleet.signing, s.member.machineKey));
    say(s.other, { kind: "rename", name: "other" }, s.member.machineKey);
    say(s.other, { kind: "leave" }, s.member.machineKey);
    expect(removalsAfter(s)).toEqual(NOTHING);
  });

  test("a cancelled join key: also who came by it on our branch since", () => {
    const s = scene();
    const before = s.own.copy();
    const guest = join(s.own, "guest", "10.11.12.5", s.fleet.signing);
    say(before, { kind: "cancel-join-key", joinKey: joinKeyIdOf(s.fleet.signing.publicKey) }, s.second.machineKey);
    const removals = removalsAfter({ ...s, other: before });
    expect(removals.machines).toEqual([idOf(guest)]);
    expect(removals.joinKeys).toEqual([joinKeyIdOf(s.fleet.signing.publicKey)]);
  });

  test("a removed signer: also the signers, keys and machines that it brought in on our branch since", () => {
    const s = scene();
    const accomplice = machine("accomplice").machineKey;
    const own = joinKeyPairs(seededRandom("own")(16));
    say(s.own, { kind: "admit-signer", publicKey: accomplice.publicKey, scope: "all" }, s.third.machineKey);
    say(s.own, joinKeyBody(own), accomplice);
    const guest = join(s.own, "guest", "10.11.12.5", own.signing);
    const honest = join(s.own, "honest", "10.11.12.6", s.second.machineKey);
    say(s.other, { kind: "remove-signer", publicKey: s.third.machineKey.publicKey }, s.second.machineKey);
    const removals = removalsAfter(s);
    expect(removals.signers.sort()).toEqual(
      [s.third.machineKey, accomplice].map((key) => formatHex(key.publicKey)).sort(),
    );
    expect(removals.joinKeys).toEqual([joinKeyIdOf(own.signing.publicKey)]);
    expect(removals.machines).toEqual([idOf(guest)]);
    expect(removals.machines).not.toContain(idOf(honest));
  });

  test("nothing by a signer that our branch removed, before or after we heard of it", () => {
    const s = scene();
    part(s);
    say(s.other, { kind: "revoke", machine: idOf(s.member) }, s.third.machineKey);
    const forks = new Forks(s.own);
    forks.offer(s.tail(s.other));
    expect(forks.removals.machines.size).toBe(1);
    say(s.own, { kind: "remove-signer", publicKey: s.third.machineKey.publicKey }, s.second.machineKey);
    forks.grew();
    expect(forks.removals.machines.size).toBe(0);
    // Admitted anew it is a new signer: what it said before on the other branch does not come back.
    say(s.own, { kind: "admit-signer", publicKey: s.third.machineKey.publicKey, scope: "all" }, s.second.machineKey);
    forks.grew();
    expect(forks.removals.machines.size).toBe(0);
  });

  test("nothing by a signer that the other branch alone admitted", () => {
    const s = scene();
    part(s);
    const accomplice = machine("accomplice").machineKey;
    say(s.other, { kind: "admit-signer", publicKey: accomplice.publicKey, scope: "all" }, s.third.machineKey);
    say(s.other, { kind: "revoke", machine: idOf(s.second) }, accomplice);
    expect(removalsAfter(s)).toEqual(NOTHING);
  });

  test("of a signer that only admits the end of its own join keys, also where the other branch lets it say more", () => {
    const s = scene();
    const clerk = s.member.machineKey;
    const own = joinKeyPairs(seededRandom("own")(16));
    for (const chain of [s.own, s.other]) {
      say(chain, { kind: "admit-signer", publicKey: clerk.publicKey, scope: "admit" }, s.signer);
      say(chain, joinKeyBody(own), clerk);
    }
    part(s);
    say(s.own, { kind: "remove-signer", publicKey: s.third.machineKey.publicKey }, s.second.machineKey);
    say(s.other, { kind: "remove-signer", publicKey: clerk.publicKey }, s.third.machineKey);
    say(s.other, { kind: "admit-signer", publicKey: clerk.publicKey, scope: "all" }, s.third.machineKey);
    say(s.other, { kind: "revoke", machine: idOf(s.second) }, clerk);
    say(s.other, { kind: "cancel-join-key", joinKey: joinKeyIdOf(s.fleet.signing.publicKey) }, clerk);
    say(s.other, { kind: "remove-signer", publicKey: s.first.machineKey.publicKey }, clerk);
    expect(removalsAfter(s)).toEqual(NOTHING);

    const honest = s.own.prefix(s.own.head.number - 2);
    say(honest, { kind: "cancel-join-key", joinKey: joinKeyIdOf(own.signing.publicKey) }, clerk);
    expect(removalsAfter({ ...s, other: honest })).toEqual({
      ...NOTHING,
      joinKeys: [joinKeyIdOf(own.signing.publicKey)],
    });
  });

  test("nothing else: no machine, signer, name, policy, route, expiry, key or registry", () => {
    const s = scene();
    const state = structuredClone(s.own.state);
    part(s);
    say(s.other, { kind: "policy", policy: new Uint8Array(9) }, s.second.machineKey);
    say(s.other, { kind: "set-expiry", machine: idOf(s.member), expiresAtMs: 1 }, s.second.machineKey);
    join(s.other, "guest", "10.11.12.5", s.second.machineKey);
    expect(removalsAfter(s)).toEqual(NOTHING);
    expect(s.own.state.members.size).toBe(state.members.size);
    expect(s.own.state.policy).toEqual(state.policy);
  });
});

describe("what is kept is bounded", () => {
  /** A branch of its own for each number: who held a join key once makes as many as it likes. */
  function junk(s: Scene, i: number): Uint8Array[] {
    const branch = s.own.prefix(s.forkNumber - 1);
    join(branch, `junk-${i}`, `10.11.12.${100 + i}`, s.fleet.signing);
    return s.tail(branch);
  }

  test("junk never pushes out, nor keeps out, a branch with a removal", () => {
    for (const isFirst of [true, false]) {
      const s = scene();
      part(s);
      say(s.other, { kind: "revoke", machine: idOf(s.member) }, s.second.machineKey);
      const forks = new Forks(s.own);
      if (isFirst) forks.offer(s.tail(s.other));
      for (let i = 0; i < 2 * MOST_BRANCHES; i++) forks.offer(junk(s, i));
      if (!isFirst) expect(forks.offer(s.tail(s.other))).toBe("held");
      expect(forks.branches).toHaveLength(MOST_BRANCHES);
      expect(forks.removals.machines.has(idOf(s.member))).toBe(true);
    }
  });

  test("a signer that is removed on a branch cannot push that branch out with removals of its own", () => {
    for (const isFirst of [true, false]) {
      const s = scene();
      part(s);
      say(s.other, { kind: "revoke", machine: idOf(s.member) }, s.second.machineKey);
      const shared = s.other.copy();
      say(s.other, { kind: "remove-signer", publicKey: s.third.machineKey.publicKey }, s.second.machineKey);
      const forks = new Forks(s.own);
      if (isFirst) forks.offer(s.tail(s.other));
      for (let i = 0; i < 2 * MOST_BRANCHES; i++) {
        // Each begins with an honest removal, and goes on with one of its own.
        const branch = shared.copy();
        say(branch, { kind: "revoke", machine: idOf(s.second) }, s.third.machineKey, NOW_MS + i);
        forks.offer(s.tail(branch));
      }
      if (!isFirst) expect(forks.offer(s.tail(s.other))).toBe("held");
      expect(forks.branches).toHaveLength(MOST_BRANCHES);
      expect(forks.removals.signers.has(formatHex(s.third.machineKey.publicKey))).toBe(true);
    }
  });

  test("a branch is not followed without end, but as far as a signer of ours speaks", () => {
    const policy = new Uint8Array(440 * 1024);
    for (const isOurs of [true, false]) {
      const s = scene();
      const accomplice = machine("accomplice").machineKey;
      const { publicKey } = accomplice;
      say(s.own, { kind: "rename", name: "own" }, s.member.machineKey);
      say(s.other, { kind: "admit-signer", publicKey, scope: "all" }, s.third.machineKey);
      for (let i = 0; i < 25; i++) say(s.other, { kind: "policy", policy }, isOurs ? s.second.machineKey : accomplice);
      const forks = new Forks(s.own);
      expect(forks.offer(s.tail(s.other))).toBe("held");
      expect(forks.branches[0]!.statements).toHaveLength(isOurs ? 26 : 11);
    }
  });
});

describe("settling", () => {
  /** `signer` says on `chain` that it is the one, and `forsaken` is not. */
  function settle(
    s: Scene,
    chain: Chain,
    forsaken: Chain,
    { machineKey }: { machineKey: SigningKeyPair },
    timeMs = NOW_MS,
  ) {
    say(chain, { kind: "settle", number: s.forkNumber, otherHash: forsaken.hashAt(s.forkNumber)! }, machineKey, timeMs);
  }

  /** Which chain a node on `own` is on after `other` was shown to it, by its head. */
  function verdict(s: Scene, own: Chain, other: Chain): "own" | "other" {
    const forks = new Forks(own);
    forks.offer(s.tail(other));
    const settled = forks.settledChain();
    if (settled) expect(settled.head).toEqual(other.head);
    return settled ? "other" : "own";
  }

  test("nothing else moves a node, however long the other branch", () => {
    const s = scene();
    part(s);
    for (let i = 0; i < 5; i++) say(s.other, { kind: "policy", policy: new Uint8Array(i) }, s.signer);
    expect(verdict(s, s.own, s.other)).toBe("own");
    expect(verdict(s, s.other, s.own)).toBe("own");
  });

  test("moves the nodes of the other branch, and only those", () => {
    const s = scene();
    part(s);
    settle(s, s.other, s.own, s.third);
    expect(verdict(s, s.own, s.other)).toBe("other");
    expect(verdict(s, s.other, s.own)).toBe("own");
  });

  test("of two signers the one admitted earlier, whichever branch a node is on", () => {
    const s = scene();
    part(s);
    settle(s, s.own, s.other, s.third);
    settle(s, s.other, s.own, s.second);
    expect(verdict(s, s.own, s.other)).toBe("other");
    expect(verdict(s, s.other, s.own)).toBe("own");
    settle(s, s.own, s.other, s.first);
    expect(verdict(s, s.own, s.other)).toBe("own");
    expect(verdict(s, s.other, s.own)).toBe("other");
  });

  test("of one signer the statement with the lower hash", () => {
    for (let i = 0; i < 6; i++) {
      const s = scene();
      part(s);
      settle(s, s.own, s.other, s.second, NOW_MS + i);
      settle(s, s.other, s.own, s.second, NOW_MS - i);
      const isOwnLower = formatHex(s.own.head.hash) < formatHex(s.other.head.hash);
      expect(verdict(s, s.own, s.other)).toBe(isOwnLower ? "own" : "other");
      expect(verdict(s, s.other, s.own)).toBe(isOwnLower ? "other" : "own");
    }
  });

  test("not by a signer that is removed on either branch, be it admitted again", () => {
    for (const where of ["own", "other"] as const) {
      const s = scene();
      part(s);
      settle(s, s.other, s.own, s.third);
      const { publicKey } = s.third.machineKey;
      say(s[where], { kind: "remove-signer", publicKey }, s.second.machineKey);
      expect(verdict(s, s.own, s.other)).toBe("own");
      say(s[where], { kind: "admit-signer", publicKey, scope: "all" }, s.second.machineKey);
      expect(verdict(s, s.own, s.other)).toBe("own");
      settle(s, s.other, s.own, s.second);
      expect(verdict(s, s.own, s.other)).toBe("other");
    }
  });

  test("not of another fork", () => {
    const s = scene();
    part(s);
    say(s.other, { kind: "settle", number: s.forkNumber, otherHash: new Uint8Array(32).fill(1) }, s.second.machineKey);
    say(
      s.other,
      { kind: "settle", number: s.forkNumber - 1, otherHash: s.own.hashAt(s.forkNumber)! },
      s.second.machineKey,
    );
    expect(verdict(s, s.own, s.other)).toBe("own");
  });

  test("what was ours is a branch then; its removals stay obeyed, until who was removed is admitted after", () => {
    const s = scene();
    part(s);
    say(s.own, { kind: "revoke", machine: idOf(s.member) }, s.second.machineKey);
    settle(s, s.other, s.own, s.first);
    const forks = new Forks(s.own);
    forks.offer(s.tail(s.other));
    const chain = forks.settledChain()!;
    forks.moveTo(chain);
    expect(forks.settledChain()).toBeUndefined();
    expect(forks.branches.map(({ head }) => head)).toEqual([s.own.head]);
    expect(forks.removals.machines.has(idOf(s.member))).toBe(true);
    const { machineKey } = s.first;
    say(chain, { kind: "revoke", machine: idOf(s.member) }, machineKey);
    const back = chain.sign(joinBody(s.member, "10.11.12.9", "other"), NOW_MS, machineKey, s.member.machineKey);
    accept(chain, back);
    forks.grew();
    expect(forks.removals.machines.has(idOf(s.member))).toBe(false);
  });

  test("moving keeps the other branches that still differ", () => {
    const s = scene();
    part(s);
    const deeper = s.other.copy();
    settle(s, s.other, s.own, s.first);
    say(deeper, { kind: "rename", name: "deeper" }, s.member.machineKey);
    const forks = new Forks(s.own);
    forks.offer(s.tail(s.other));
    forks.offer(s.tail(deeper));
    forks.moveTo(forks.settledChain()!);
    expect(forks.branches.map(({ forkNumber }) => forkNumber)).toEqual([s.forkNumber, s.forkNumber + 1]);
    expect(forks.branches.map(({ head }) => head)).toEqual([s.own.head, deeper.head]);
  });
});
