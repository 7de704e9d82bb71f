/**
 * When this machine writes its record again though it says what it said: after a rotation, sealed with the new key,
 * and an ephemeral machine now and then, to say that it is there. All others are members until somebody says otherwise.
 */

import type { Timer } from "../base/clock.ts";
import { EPHEMERAL_HEARTBEAT_MS } from "../netmap/lifetime.ts";
import { WRITE_SCOPE } from "./sync-scope.ts";
import { randomFraction } from "./tailnet-context.ts";
import type { TailnetFeed } from "./tailnet-feed.ts";
import type { KnownTailnet } from "./tailnet-known.ts";
import type { OwnRecord } from "./tailnet-own-record.ts";

/** Machines that were started together do not write together. */
const HEARTBEAT_JITTER = 0.1;
/** Nor do all members after a rotation. */
const LONGEST_RESEAL_SPREAD_MS = 30_000;
const RESEAL_SPREAD_PER_MEMBER_MS = 20;

export class RecordRenewal {
  readonly #tailnet: KnownTailnet;
  readonly #own: OwnRecord;
  readonly #feed: TailnetFeed;
  #heartbeat: Timer | undefined;
  #resealing: Timer | undefined;

  /** By `feed` the record is written where it is due. */
  constructor(tailnet: KnownTailnet, own: OwnRecord, feed: TailnetFeed) {
    this.#tailnet = tailnet;
    this.#own = own;
    this.#feed = feed;
  }

  /** Begins with the heartbeats. */
  start(): void {
    const { clock, random } = this.#tailnet.context;
    const delayMs = EPHEMERAL_HEARTBEAT_MS * (1 - HEARTBEAT_JITTER * randomFraction(random));
    this.#heartbeat = clock.after(delayMs, () => {
      if (this.#tailnet.self?.terms.ephemeral) {
        this.#own.writeAgain();
        this.#feed.request(WRITE_SCOPE);
      }
      this.start();
    });
  }

  stop(): void {
    this.#heartbeat?.cancel();
    this.#resealing?.cancel();
  }

  /** The network key is another one. */
  handleRotation(): void {
    const { clock, random } = this.#tailnet.context;
    const { size } = this.#tailnet.state.members;
    const spreadMs = Math.min(LONGEST_RESEAL_SPREAD_MS, RESEAL_SPREAD_PER_MEMBER_MS * size);
    this.#resealing?.cancel();
    this.#resealing = clock.after(randomFraction(random) * spreadMs, () => {
      this.#own.reseal();
      this.#feed.request(WRITE_SCOPE);
    });
  }
}
