/**
 * Whom to talk with, and when: a machine that is told the time and answers whom to call.
 *
 * News spread as a rumour does (Demers et al., "Epidemic algorithms for replicated database maintenance",
 * 1987, section 1.4, with feedback and a counter): a member that has news calls peers in random order, and
 * slows down once several in a row had heard. So a star is told as fast as a full mesh, and a mesh of a
 * thousand in which everybody knows exchanges a few calls each. The rest follow one by one at a slow pace:
 * in the end every peer whose tunnel is up was compared with once.
 *
 * Peers without a tunnel are called where it matters: all of them by the author of a removal, and by
 * who has no registry and may not be where its peers think it is; and some of them by who starts.
 */

import type { RandomSource } from "../../crypto/random.ts";
import type { NodeId } from "../../trust/identity.ts";

/** So many in a row that had heard already end the hurry: 1 in 10,000 is left to the slow pace (e^-9). */
const ENOUGH_HAD_HEARD = 8;
/** A rumour learns from each answer: few calls at a time. */
const MOST_RUMOUR_CALLS = 4;
const MOST_CALLS = 32;
const SLOW_PACE_MS = 2000;
/** What many members learn or begin at the same time is spread over so long. */
const TOGETHER_SPREAD_MS = 2000;
/** The side with the higher node id leaves it to the other to compare when a tunnel comes up. */
const YIELD_MS = 1500;
/** A call in vain is made again, each time later; WireGuard itself goes on for 90 s. */
const FIRST_RETRY_MS = 5000;
const LONGEST_RETRY_MS = 120_000;
/** Who did not answer so often is left alone until its tunnel comes up, unless it is sought. */
const MOST_RETRIES = 3;

/** Who starts tells so many that it is there; in a large tailnet the others find it when they have something to say. */
const MOST_GREETED = 16;
/** Machines that start together in a large tailnet do not all call at once. */
const GREETING_SPREAD_PER_PEER_MS = 20;

/** Who reached so many of those that it sought is found by the others through them. */
const ENOUGH_FOUND = 8;

/** How fast news have to go: at once, or when those who have them from the registry too have settled. */
export type Urgency = "now" | "soon";

export type CallResult = "not-reached" | "had-heard" | "took-news";

interface Due {
  readonly atMs: number;
  /** Slowed down by peers that had heard. */
  readonly isRumour: boolean;
}

export class Spread {
  readonly #selfId: NodeId;
  readonly #random: RandomSource;
  /** Those to be called, in the order in which they will be. */
  readonly #queue = new Map<NodeId, Due>();
  readonly #calling = new Set<NodeId>();
  /** Peers to be reached however long it takes, until enough of them were. */
  readonly #sought = new Set<NodeId>();
  #found = 0;
  /** How often calls to a peer were in vain since it was last reached. */
  readonly #failures = new Map<NodeId, number>();
  #hadHeardInARow = 0;
  #nextSlowCallMs = Number.NEGATIVE_INFINITY;

  constructor(selfId: NodeId, random: RandomSource) {
    this.#selfId = selfId;
    this.#random = random;
  }

  /** There is something that these peers, whose tunnels are up, may not know. */
  handleNews(live: readonly NodeId[], urgency: Urgency, nowMs: number): void {
    this.#hadHeardInARow = 0;
    for (const id of this.#shuffled(live)) {
      const waitMs = urgency === "now" ? 0 : this.#fraction() * TOGETHER_SPREAD_MS;
      // Whose tunnel is up has been found.
      this.#sought.delete(id);
      this.#add(id, { atMs: nowMs + waitMs, isRumour: true });
    }
  }

  /** All these are called now, those with a tunnel before the others. */
  handleRemovalByUs(live: readonly NodeId[], others: readonly NodeId[], nowMs: number): void {
    for (const id of [...this.#shuffled(live), ...this.#shuffled(others)]) {
      this.#sought.delete(id);
      this.#queue.delete(id);
      this.#queue.set(id, { atMs: nowMs, isRumour: false });
    }
  }

  /**
   * This machine starts: it has no sessions any more, and who still has one with it sends into that until WireGuard's
   * timers give it up, 15 s later.
   */
  greet(peers: readonly NodeId[], nowMs: number): void {
    const spreadMs = Math.min(peers.length * GREETING_SPREAD_PER_PEER_MS, TOGETHER_SPREAD_MS);
    for (const id of this.#shuffled(peers).slice(0, MOST_GREETED)) {
      this.#add(id, { atMs: nowMs + this.#fraction() * spreadMs, isRumour: false });
    }
  }

  /** These are called, again and again, until each or enough of them were reached; nobody else is sought any more. */
  seek(peers: readonly NodeId[], nowMs: number): void {
    this.#stopSeeking();
    for (const id of this.#shuffled(peers)) {
      this.#sought.add(id);
      this.#failures.delete(id);
      this.#add(id, { atMs: nowMs + this.#fraction() * TOGETHER_SPREAD_MS, isRumour: false });
    }
  }

  /** A new session of WireGuard; `isUp` where there was none before. */
  handleSession(id: NodeId, isUp: boolean, nowMs: number): void {
    if (!isUp && !this.#failures.has(id)) return;
    this.#add(id, { atMs: nowMs + (this.#selfId < id ? 0 : YIELD_MS), isRumour: false });
  }

  /** The peer called, and stands where we do. */
  handleHadHeard(id: NodeId): void {
    this.#handleReached(id);
    if (this.#queue.delete(id)) this.#hadHeardInARow++;
  }

  /** A call is over. */
  handleResult(id: NodeId, result: CallResult, nowMs: number): void {
    this.#calling.delete(id);
    if (result === "not-reached") {
      this.#retryLater(id, nowMs);
    } else {
      this.#handleReached(id);
      this.#hadHeardInARow = result === "had-heard" ? this.#hadHeardInARow + 1 : 0;
    }
  }

  /** Nobody else is a peer. */
  setPeers(peers: ReadonlySet<NodeId>): void {
    for (const known of [this.#queue, this.#sought, this.#failures]) {
      for (const id of known.keys()) if (!peers.has(id)) known.delete(id);
    }
  }

  /** Whom to call now. Each call's end is told by `handleResult`. */
  takeCalls(nowMs: number): NodeId[] {
    const calls: NodeId[] = [];
    for (const [id, due] of this.#queue) {
      if (this.#calling.size >= MOST_CALLS) break;
      if (this.#calling.has(id) || this.#dueMs(due) > nowMs) continue;
      if (due.isRumour) {
        if (this.#calling.size >= MOST_RUMOUR_CALLS) continue;
        if (this.#isSlow) this.#nextSlowCallMs = nowMs + SLOW_PACE_MS * (0.5 + this.#fraction());
      }
      this.#queue.delete(id);
      this.#calling.add(id);
      calls.push(id);
    }
    return calls;
  }

  /** When to ask `takeCalls` again, if nothing else happens before; `undefined` where only a call's end is waited for. */
  nextCallMs(): number | undefined {
    let nextMs: number | undefined;
    for (const [id, due] of this.#queue) {
      const most = due.isRumour ? MOST_RUMOUR_CALLS : MOST_CALLS;
      if (this.#calling.has(id) || this.#calling.size >= most) continue;
      nextMs = Math.min(nextMs ?? Number.POSITIVE_INFINITY, this.#dueMs(due));
    }
    return nextMs;
  }

  get #isSlow(): boolean {
    return this.#hadHeardInARow >= ENOUGH_HAD_HEARD;
  }

  #dueMs({ atMs, isRumour }: Due): number {
    return isRumour && this.#isSlow ? Math.max(atMs, this.#nextSlowCallMs) : atMs;
  }

  #handleReached(id: NodeId): void {
    this.#failures.delete(id);
    if (this.#sought.delete(id) && ++this.#found >= ENOUGH_FOUND) this.#stopSeeking();
  }

  #stopSeeking(): void {
    for (const id of this.#sought) this.#queue.delete(id);
    this.#sought.clear();
    this.#found = 0;
  }

  #retryLater(id: NodeId, nowMs: number): void {
    const failures = this.#failures.get(id) ?? 0;
    this.#failures.set(id, failures + 1);
    if (failures >= MOST_RETRIES && !this.#sought.has(id)) return;
    const longestMs = Math.min(FIRST_RETRY_MS * 3 ** failures, LONGEST_RETRY_MS);
    this.#add(id, { atMs: nowMs + longestMs * (0.5 + 0.5 * this.#fraction()), isRumour: false });
  }

  /** The earlier of two calls to the same peer, and the more certain one. */
  #add(id: NodeId, due: Due): void {
    const before = this.#queue.get(id) ?? due;
    const atMs = Math.min(before.atMs, due.atMs);
    this.#queue.set(id, { atMs, isRumour: before.isRumour && due.isRumour });
  }

  #shuffled(ids: readonly NodeId[]): NodeId[] {
    const shuffled = [...ids];
    for (let i = shuffled.length - 1; i > 0; i--) {
      const j = Math.floor(this.#fraction() * (i + 1));
      [shuffled[i], shuffled[j]] = [shuffled[j]!, shuffled[i]!];
    }
    return shuffled;
  }

  /** 0 to 1, 1 excluded. */
  #fraction(): number {
    const bytes = this.#random(4);
    return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) / 2 ** 32;
  }
}
