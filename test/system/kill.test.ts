/**
 * Kill -9 of nodes and of the registry at random moments of joining, rotating and writing, in several laboratories at
 * once: no state is lost, and no node must join again. Needs root.
 *
 * `MINITAIL_KILLS=200` kills as often as the project promises, which takes three minutes; `MINITAIL_KILL_SEED` repeats a
 * run. Both are printed.
 */

import { expect, test } from "bun:test";
import { eventually, Lab } from "../lab/index.ts";
import { hostsOnSwitch, type MeshNode, MINITAIL } from "./mesh-node.ts";

const KILLS = Number(process.env["MINITAIL_KILLS"] ?? 50);
const SEED = Number(process.env["MINITAIL_KILL_SEED"] ?? 20261121);
const LABS = 10;
const LIMIT_MS = 120_000 + KILLS * 5000;

const POOL = ["--pool", "10.11.0.0/16"] as const;
const PING_LIMIT_MS = 40_000;
/** A start, a write and a rotation are over within so long, on a machine with other work. */
const LATEST_KILL_MS = 450;

/** Numbers from 0 to 1 that follow from a seed (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Head {
  readonly number: number;
  readonly hash: string;
}

/** One laboratory: a machine that serves the registry and decides, one that is a member, and others that come and go. */
class Mesh {
  readonly #random: () => number;
  readonly #alpha: MeshNode;
  readonly #beta: MeshNode;
  readonly #gamma: MeshNode;
  readonly #identities = new Map<MeshNode, string>();
  /** Acknowledged statements: so many the chain must have. */
  #acknowledged = 0;
  #newcomers = 0;

  constructor([alpha, beta, gamma]: readonly MeshNode[], random: () => number) {
    this.#random = random;
    [this.#alpha, this.#beta, this.#gamma] = [alpha!, beta!, gamma!];
  }

  async begin(): Promise<void> {
    await this.#alpha.up(...POOL);
    await this.#beta.up("--join", await this.#alpha.createKey());
    for (const node of [this.#alpha, this.#beta]) this.#identities.set(node, await identityOf(node));
    this.#acknowledged = (await headOf(this.#alpha)).number;
  }

  /** One kill at a moment of something, and what must be afterwards. */
  async killOnce(): Promise<void> {
    const [first, ...others] = [this.#killJoining, this.#killWriting, this.#killRotatingKeys, this.#killRemoving];
    const chosen = [first!, ...others][Math.floor(this.#random() * (others.length + 1))]!;
    await chosen.call(this);
    for (const [node, identity] of this.#identities) expect(await identityOf(node)).toBe(identity);
    const { number } = await headOf(this.#alpha);
    expect(number).toBeGreaterThanOrEqual(this.#acknowledged);
    this.#acknowledged = number;
  }

  async end(): Promise<void> {
    await this.#alpha.expectPing((await this.#beta.output("ip", "-4")).trim(), PING_LIMIT_MS);
    await this.#beta.expectPing((await this.#alpha.output("ip", "-4")).trim(), PING_LIMIT_MS);
    await this.#gamma.up("--join", await this.#alpha.createKey());
    await this.#gamma.expectPing((await this.#beta.output("ip", "-4")).trim(), PING_LIMIT_MS);
    const nodes = [this.#alpha, this.#beta, this.#gamma];
    await eventually(
      "all to have one chain",
      async () => new Set((await Promise.all(nodes.map(headOf))).map(({ hash }) => hash)).size === 1,
      PING_LIMIT_MS,
    );
    for (const node of nodes) {
      const codes = (await node.status()).health.map(({ code }) => code);
      expect({ node: node.name, codes }).toEqual({ node: node.name, codes: expect.not.arrayContaining(LOSSES) });
    }
  }

  /** Something under way, and a moment of it. */
  async #kill(node: MeshNode, during: () => Promise<unknown>): Promise<void> {
    const doing = during().catch(() => {});
    await Bun.sleep(this.#random() * LATEST_KILL_MS);
    await node.kill();
    await doing;
    await node.up("--verbose");
  }

  #anyMember(): MeshNode {
    return this.#random() < 0.6 ? this.#alpha : this.#beta;
  }

  /** The newcomer or the registry is killed while it joins; it ends as one member, and goes again. */
  async #killJoining(): Promise<void> {
    const name = `newcomer-${++this.#newcomers}`;
    const key = await this.#alpha.createKey();
    const place = ["--state-dir", `/var/lib/minitail-${name}`];
    const up = [MINITAIL, "up", "--join", key, "--name", name, ...place];
    const starting = this.#gamma.host.spawn(up);
    await Bun.sleep(this.#random() * LATEST_KILL_MS);
    if (this.#random() < 0.3) {
      await this.#alpha.kill();
      await this.#alpha.up("--verbose");
    }
    starting.kill("SIGKILL");
    await starting.exited;
    this.#gamma.process = this.#gamma.host.spawn([...up, "--verbose"]);
    await this.#gamma.process.waitForOutput(/this machine is /, PING_LIMIT_MS);
    const identity = await identityOf(this.#gamma);
    const bearers = async () => (await this.#alpha.status()).peers.filter((peer) => peer.name.startsWith(name));
    await eventually("the registry's machine to know it", async () => (await bearers()).length > 0, PING_LIMIT_MS);
    expect((await bearers()).map((peer) => peer.id)).toEqual([identity.split(" ")[0]!]);
    await this.#gamma.minitail("down");
    await this.#gamma.process.exited;
    await this.#alpha.output("node", "remove", name);
  }

  /** Keys are made while the registry is killed: those that were acknowledged are there. */
  async #killWriting(): Promise<void> {
    let made = 0;
    const before = (await headOf(this.#alpha)).number;
    await this.#kill(this.#alpha, async () => {
      for (let i = 0; i < 4; i++) {
        const created = await this.#alpha.minitail("key", "create", "--json");
        if (created.status !== 0) return;
        made++;
      }
    });
    expect((await headOf(this.#alpha)).number).toBeGreaterThanOrEqual(before + made);
  }

  /** A node key is rotated while its machine or the registry is killed: the tunnel comes back by itself. */
  async #killRotatingKeys(): Promise<void> {
    await this.#kill(this.#anyMember(), () => this.#beta.minitail("node", "rotate-key"));
    await this.#beta.expectPing((await this.#alpha.output("ip", "-4")).trim(), PING_LIMIT_MS);
  }

  /** An epoch ends while a member or the registry is killed: who stays reads on. */
  async #killRemoving(): Promise<void> {
    const { id } = JSON.parse(await this.#alpha.output("key", "create", "--json")) as { id: string };
    await this.#kill(this.#anyMember(), () => this.#alpha.minitail("key", "revoke", id));
    // Where the kill came first it was not revoked: what was asked for can be asked for again.
    await this.#alpha.minitail("key", "revoke", id);
    const head = await headOf(this.#alpha);
    await eventually(
      "the other to read on",
      async () => (await headOf(this.#beta)).number >= head.number,
      PING_LIMIT_MS,
    );
  }
}

/** Health of a machine that lost something. */
const LOSSES = ["registry-lost-data", "identity-used-twice", "fork", "chain-forked"];

async function identityOf(node: MeshNode): Promise<string> {
  const { self, tailnet, state } = await node.status();
  expect(state).toBe("running");
  return `${self!.id} ${self!.addresses[0]} ${tailnet!.id}`;
}

async function headOf(node: MeshNode): Promise<Head> {
  return (JSON.parse(await node.output("lock", "status", "--json")) as { head: Head }).head;
}

test(
  `${KILLS} kills at random moments lose nothing (seed ${SEED})`,
  async () => {
    const kills = Array.from({ length: LABS }, (_, i) => Math.floor((KILLS + i) / LABS));
    await Promise.all(
      kills.map(async (count, i) => {
        await using lab = await Lab.create(`kill-${i}`);
        const mesh = new Mesh(await hostsOnSwitch(lab, ["alpha", "beta", "gamma"]), randomNumbers(SEED + i));
        await mesh.begin();
        for (let kill = 0; kill < count; kill++) await mesh.killOnce();
        await mesh.end();
      }),
    );
  },
  LIMIT_MS,
);
