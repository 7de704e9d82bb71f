/** Members over a registry in memory. */

import { type Clock, systemClock } from "../../src/base/clock.ts";
import { isMinitailError } from "../../src/base/errors.ts";
import { formatAddress, parseEndpoint, parsePrefix } from "../../src/base/ip.ts";
import { silentLog } from "../../src/base/log.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { createJoinKey, type JoinKeyRequest } from "../../src/daemon/decide/create-join-key.ts";
import type { Tailnet } from "../../src/daemon/tailnet.ts";
import type { TailnetContext } from "../../src/daemon/tailnet-context.ts";
import type { RecordContent } from "../../src/daemon/tailnet-own-record.ts";
import { createTailnet, joinTailnet } from "../../src/daemon/tailnet-start.ts";
import { loadOrCreateIdentity, type TailnetStore } from "../../src/daemon/tailnet-store.ts";
import type { Registry } from "../../src/registry/registry.ts";
import { type JoinKey, parseJoinKey } from "../../src/trust/join-key.ts";
import { NO_TERMS } from "../../src/trust/terms.ts";
import { MemoryDatabase, MemoryRegistry } from "./memory-registry.ts";

export const HOUR_MS = 3_600_000;
export const TOKEN = "token-of-the-embedded-registry";

export class MemoryStore implements TailnetStore {
  readonly blobs = new Map<string, Uint8Array>();

  load(name: string): Uint8Array | undefined {
    return this.blobs.get(name);
  }

  save(name: string, bytes: Uint8Array): void {
    this.blobs.set(name, bytes.slice());
  }
}

/** How much faster the tests wait. */
const HASTE = 20;

/** The system's clock, so much ahead (or behind, if negative), with shorter waits. */
export function clockAhead(aheadMs: number): Clock {
  return {
    nowMs: () => Date.now() + aheadMs,
    monotonicMs: systemClock.monotonicMs,
    after: (delayMs, action) => systemClock.after(delayMs / HASTE, action),
  };
}

export function contextOver(
  registry: Registry,
  store: TailnetStore = new MemoryStore(),
  clock: Clock = clockAhead(0),
): TailnetContext {
  const identity = loadOrCreateIdentity(store, systemRandom);
  return { registry, store, identity, clock, random: systemRandom, log: silentLog };
}

export function pool(...texts: string[]) {
  return texts.map((text) => parsePrefix(text)!);
}

export function joinKeyRequest(extra: Partial<JoinKeyRequest> = {}): JoinKeyRequest {
  return {
    reusable: false,
    expiresAtMs: Date.now() + HOUR_MS,
    terms: NO_TERMS,
    registries: [{ urls: ["https://192.0.2.1:7411"], token: TOKEN, pin: undefined }],
    ...extra,
  };
}

export async function makeJoinKey(tailnet: Tailnet, extra: Partial<JoinKeyRequest> = {}): Promise<JoinKey> {
  return parseJoinKey((await createJoinKey(tailnet, joinKeyRequest(extra))).key);
}

export function recordContent(context: TailnetContext, endpoint = "192.0.2.7:7411"): RecordContent {
  return {
    nodeKey: context.identity.nodeKey.publicKey,
    endpoints: [parseEndpoint(endpoint)!],
    homeRelay: undefined,
    routes: [],
    capabilities: [],
  };
}

export interface Member {
  readonly tailnet: Tailnet;
  readonly context: TailnetContext;
  readonly registry: MemoryRegistry;
  readonly store: MemoryStore;
}

export interface Network {
  readonly database: MemoryDatabase;
  readonly first: Member;
  /** Another machine, by a fresh join key, of which `extra` may say more. */
  join(name: string, extra?: Partial<JoinKeyRequest>): Promise<Member>;
}

export async function makeNetwork(poolText = "10.11.12.0/24", clock: Clock = clockAhead(0)): Promise<Network> {
  const database = new MemoryDatabase();
  const open = (): Omit<Member, "tailnet"> => {
    const registry = new MemoryRegistry(database);
    const store = new MemoryStore();
    return { registry, store, context: contextOver(registry, store, clock) };
  };
  const parts = open();
  const options = { pool: pool(poolText), name: "one", registryToken: TOKEN };
  const first = { ...parts, tailnet: await createTailnet(parts.context, options) };
  return {
    database,
    first,
    async join(name, extra) {
      const joinKey = await makeJoinKey(first.tailnet, extra);
      const newcomer = open();
      return { ...newcomer, tailnet: await joinTailnet(newcomer.context, joinKey, name) };
    },
  };
}

export function addressOf(tailnet: Tailnet): string {
  return formatAddress(tailnet.self!.ipv4);
}

/** The code that `action` fails with, `"done"` where it does not. */
export async function outcome(action: Promise<unknown>): Promise<string> {
  try {
    await action;
    return "done";
  } catch (error) {
    if (isMinitailError(error)) return error.code;
    throw error;
  }
}
