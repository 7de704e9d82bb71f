/**
 * Which requests are served now: each client at its rate, not too many at once, and no more bytes under way than the
 * machine has room for. What is refused is told to come again.
 */

import type { Grant } from "./access.ts";
import type { RegistryCounters } from "./counters.ts";
import { RATE_UNIT_BYTES, type RegistryLimits } from "./limits.ts";
import { RateLimiter } from "./rate-limiter.ts";

/** A request that is served. `leave` it exactly once, when its answer has been sent or given up. */
export interface Visit {
  /** Counts commands and bytes against the client's rate, after the fact. */
  charge(commands: number, bytes: number): void;
  /** Room for a body or an answer, kept until the visit ends; false where there is none. */
  hold(bytes: number): boolean;
  leave(): void;
}

/** The client may come again after as many milliseconds. */
export interface Refusal {
  readonly reason: "rate" | "busy";
  readonly waitMs: number;
}

/** Of the room for bytes, requests and subscribers, what those may take together that do not write: it is not theirs to fill. */
export const READERS_SHARE = 1 / 4;

/** Where too many are being served, the next try is worth making after so long. */
const BUSY_WAIT_MS = 1000;

/** What is under way. */
interface Load {
  requests: number;
  bytes: number;
}

export class Admission {
  readonly #limits: RegistryLimits;
  readonly #counters: RegistryCounters;
  readonly #nowMs: () => number;
  readonly #members: RateLimiter;
  readonly #strangers: RateLimiter;
  readonly #requestsOfClients = new Map<string, number>();
  readonly #all: Load = { requests: 0, bytes: 0 };
  readonly #ofReaders: Load = { requests: 0, bytes: 0 };

  constructor(limits: RegistryLimits, counters: RegistryCounters, nowMs: () => number) {
    this.#limits = limits;
    this.#counters = counters;
    this.#nowMs = nowMs;
    this.#members = new RateLimiter(limits.rate);
    this.#strangers = new RateLimiter(limits.strangerRate);
  }

  /** Members and strangers of one address do not use up each other's rate. `grant`: `undefined` where it is refused. */
  enter(client: string, grant: Pick<Grant, "hasToken" | "mayWrite"> | undefined): Visit | Refusal {
    const limiter = grant?.hasToken ? this.#members : this.#strangers;
    const waitMs = limiter.take(client, 1, this.#nowMs());
    if (waitMs > 0) return this.#refuse("rate", waitMs);
    const ofClient = this.#requestsOfClients.get(client) ?? 0;
    const loads = grant?.mayWrite ? [this.#all] : [this.#all, this.#ofReaders];
    const isFull = loads.some((load) => load.requests >= this.#share(load) * this.#limits.requests);
    if (isFull || ofClient >= this.#limits.requestsPerClient) return this.#refuse("busy", BUSY_WAIT_MS);
    for (const load of loads) load.requests++;
    this.#requestsOfClients.set(client, ofClient + 1);
    return this.#visit(client, limiter, loads);
  }

  #share(load: Load): number {
    return load === this.#ofReaders ? READERS_SHARE : 1;
  }

  #refuse(reason: Refusal["reason"], waitMs: number): Refusal {
    if (reason === "rate") this.#counters.refusedByRate++;
    else this.#counters.refusedBusy++;
    return { reason, waitMs };
  }

  #visit(client: string, limiter: RateLimiter, loads: readonly Load[]): Visit {
    let heldBytes = 0;
    return {
      charge: (commands, bytes) =>
        limiter.charge(client, Math.max(0, commands - 1) + Math.floor(bytes / RATE_UNIT_BYTES), this.#nowMs()),
      hold: (bytes) => {
        if (loads.some((load) => load.bytes + bytes > this.#share(load) * this.#limits.transferBytes)) {
          this.#counters.refusedBusy++;
          return false;
        }
        for (const load of loads) load.bytes += bytes;
        heldBytes += bytes;
        return true;
      },
      leave: () => {
        for (const load of loads) {
          load.bytes -= heldBytes;
          load.requests--;
        }
        const left = this.#requestsOfClients.get(client)! - 1;
        if (left > 0) this.#requestsOfClients.set(client, left);
        else this.#requestsOfClients.delete(client);
      },
    };
  }
}
