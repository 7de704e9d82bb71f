/**
 * The timers of one peer (WireGuard paper, section 6): deadlines that events of the peer set, and that
 * `takeExpired` turns into what is to be done.
 *
 * Packets pass without the timers being told. They look into the data plane's notes when a deadline
 * that depends on packets may have come, which is never before that: data that nobody had to answer at
 * one look is at least a timeout away from its deadline. Where nothing has passed since the last look
 * they stop looking, and the data plane reports the next packet.
 */

import type { PeerActivity } from "./action.ts";
import { unansweredReceivedMs, unansweredSentMs } from "./activity.ts";
import {
  KEEPALIVE_TIMEOUT_MS,
  NEW_HANDSHAKE_TIMEOUT_MS,
  REKEY_ATTEMPT_TIME_MS,
  REKEY_TIMEOUT_MS,
  ZERO_KEYS_AFTER_MS,
} from "./constants.ts";

const NEVER = Number.POSITIVE_INFINITY;

/** What a deadline asks for. */
export type Expiry =
  /** No response for 90 s: stop asking. */
  | "give-up"
  /** Answer data that came in. */
  | "keepalive"
  /** Data that went out was not answered: ask for a session. */
  | "new-handshake"
  | "persistent-keepalive"
  | "zero-keys";

export interface TimerSurroundings {
  readonly readActivity: () => PeerActivity;
  /** The data plane reports the next data packet from here on. */
  readonly watchActivity: () => void;
  /** 0 to 333 ms, fresh. */
  readonly jitterMs: () => number;
}

export class PeerTimers {
  readonly #surroundings: TimerSurroundings;
  #initiationAtMs = NEVER;
  #giveUpAtMs = NEVER;
  #lookAtMs = NEVER;
  #persistentAtMs = NEVER;
  #zeroKeysAtMs = NEVER;

  #persistentIntervalMs = 0;
  #handshakeMessageSentMs = Number.NEGATIVE_INFINITY;
  #initiationSentMs = Number.NEGATIVE_INFINITY;
  /** Any handshake message, either way, or persistent keepalive. */
  #lastTraversalMs = 0;
  #settledSentMs = 0;
  #settledReceivedMs = 0;
  #reportedMs = 0;
  #lookedAtMs = 0;
  #newHandshakeJitterMs: number;

  constructor(surroundings: TimerSurroundings) {
    this.#surroundings = surroundings;
    this.#newHandshakeJitterMs = surroundings.jitterMs();
  }

  /** The earliest deadline, Infinity for none. */
  nextMs(): number {
    return Math.min(this.#initiationAtMs, this.#giveUpAtMs, this.#lookAtMs, this.#persistentAtMs, this.#zeroKeysAtMs);
  }

  /** True where an initiation is to be sent now. */
  isInitiationDue(nowMs: number): boolean {
    return nowMs >= this.#initiationAtMs;
  }

  /** A session is wanted: at once, or 5 seconds after the last handshake message; the 90 seconds begin anew. */
  handleSessionWanted(nowMs: number): void {
    this.#giveUpAtMs = nowMs + REKEY_ATTEMPT_TIME_MS;
    if (this.#isHandshakeWaiting) return;
    this.#initiationAtMs = Math.max(nowMs, this.#handshakeMessageSentMs + REKEY_TIMEOUT_MS);
  }

  /** An initiation that waits goes out once `intervalMs` have passed since the last. */
  hastenInitiation(nowMs: number, intervalMs: number): void {
    if (!this.#isHandshakeWaiting) return;
    const atMs = Math.max(nowMs, this.#initiationSentMs + intervalMs);
    this.#initiationAtMs = Math.min(this.#initiationAtMs, atMs);
  }

  handleInitiationSent(nowMs: number): void {
    this.#initiationSentMs = nowMs;
    this.postponeInitiation(nowMs);
    this.handleHandshakeMessageSent(nowMs);
  }

  /** The next initiation is due in 5 seconds and something. */
  postponeInitiation(nowMs: number): void {
    this.#initiationAtMs = nowMs + REKEY_TIMEOUT_MS + this.#surroundings.jitterMs();
  }

  /** An initiation or response of ours. */
  handleHandshakeMessageSent(nowMs: number): void {
    this.#handshakeMessageSentMs = nowMs;
    this.#settledReceivedMs = nowMs;
    this.#handleTraversal(nowMs);
  }

  /** An authenticated initiation or response of the peer's. */
  handleHandshakeMessageReceived(nowMs: number): void {
    this.#settledSentMs = nowMs;
    this.#handleTraversal(nowMs);
  }

  /** Keys were agreed on, in either role. */
  handleSessionDerived(nowMs: number): void {
    this.#zeroKeysAtMs = nowMs + ZERO_KEYS_AFTER_MS;
  }

  /** A session to send under is there. */
  handleHandshakeComplete(): void {
    this.#initiationAtMs = NEVER;
    this.#giveUpAtMs = NEVER;
  }

  /** The data plane reports data after it was told to watch. */
  handleActivity(nowMs: number): void {
    this.#reportedMs = nowMs;
    this.#lookAgain(nowMs);
  }

  /** 0 turns it off. */
  setPersistentKeepalive(intervalMs: number, nowMs: number): void {
    this.#persistentIntervalMs = intervalMs;
    this.#persistentAtMs = intervalMs === 0 ? NEVER : this.#persistentDueMs(nowMs);
  }

  /** The keys are gone, and whatever was to be done with them. */
  reset(nowMs: number): void {
    this.handleHandshakeComplete();
    this.#zeroKeysAtMs = NEVER;
    this.#handshakeMessageSentMs = Number.NEGATIVE_INFINITY;
    this.#initiationSentMs = Number.NEGATIVE_INFINITY;
    this.#settledSentMs = nowMs;
    this.#settledReceivedMs = nowMs;
    this.#surroundings.watchActivity();
  }

  /** What is due at `nowMs`, in the order in which it is to be done. Each is answered once. */
  takeExpired(nowMs: number): readonly Expiry[] {
    const expired: Expiry[] = [];
    if (nowMs >= this.#zeroKeysAtMs) {
      this.#zeroKeysAtMs = NEVER;
      expired.push("zero-keys");
    }
    if (nowMs >= this.#giveUpAtMs) {
      this.#giveUp(nowMs);
      expired.push("give-up");
    }
    if (nowMs >= this.#lookAtMs) expired.push(...this.#look(nowMs));
    if (nowMs >= this.#persistentAtMs && this.#isPersistentDue(nowMs)) expired.push("persistent-keepalive");
    return expired;
  }

  /** True while an initiation waits to be sent, or for its response. */
  get #isHandshakeWaiting(): boolean {
    return this.#initiationAtMs !== NEVER;
  }

  #look(nowMs: number): readonly ("keepalive" | "new-handshake")[] {
    const expired: ("keepalive" | "new-handshake")[] = [];
    if (nowMs >= this.#keepaliveDueMs()) {
      this.#settledReceivedMs = nowMs;
      this.#surroundings.watchActivity();
      expired.push("keepalive");
    }
    if (nowMs >= this.#newHandshakeDueMs()) {
      this.#settledSentMs = nowMs;
      this.#newHandshakeJitterMs = this.#surroundings.jitterMs();
      this.#surroundings.watchActivity();
      expired.push("new-handshake");
    }
    this.#lookAgain(nowMs);
    return expired;
  }

  #lookAgain(nowMs: number): void {
    const { lastSentMs, lastReceivedMs } = this.#surroundings.readActivity();
    const hasPassed = Math.max(lastSentMs, lastReceivedMs, this.#reportedMs) > this.#lookedAtMs;
    this.#lookedAtMs = nowMs;
    const dueMs = this.#activityDueMs();
    if (dueMs !== NEVER || hasPassed) {
      // Data that comes after this look is due no sooner than the shorter of both timeouts.
      this.#lookAtMs = Math.min(dueMs, nowMs + KEEPALIVE_TIMEOUT_MS);
      return;
    }
    this.#surroundings.watchActivity();
    // Data may have passed between the look and the watch, unreported.
    this.#lookAtMs = this.#activityDueMs();
  }

  #activityDueMs(): number {
    return Math.min(this.#keepaliveDueMs(), this.#newHandshakeDueMs());
  }

  #keepaliveDueMs(): number {
    const knowledge = { settledMs: this.#settledReceivedMs, reportedMs: this.#reportedMs };
    const sinceMs = unansweredReceivedMs(this.#surroundings.readActivity(), knowledge);
    return sinceMs === undefined ? NEVER : sinceMs + KEEPALIVE_TIMEOUT_MS;
  }

  #newHandshakeDueMs(): number {
    const knowledge = { settledMs: this.#settledSentMs, reportedMs: this.#reportedMs };
    const sinceMs = unansweredSentMs(this.#surroundings.readActivity(), knowledge);
    return sinceMs === undefined ? NEVER : sinceMs + NEW_HANDSHAKE_TIMEOUT_MS + this.#newHandshakeJitterMs;
  }

  #handleTraversal(nowMs: number): void {
    this.#lastTraversalMs = nowMs;
    this.#surroundings.watchActivity();
  }

  #persistentDueMs(nowMs: number): number {
    const { lastSentMs, lastReceivedMs } = this.#surroundings.readActivity();
    const lastMs = Math.max(lastSentMs, lastReceivedMs, this.#lastTraversalMs);
    return (lastMs === 0 ? nowMs : lastMs) + this.#persistentIntervalMs;
  }

  /** Packets that passed in the meantime have moved the deadline. */
  #isPersistentDue(nowMs: number): boolean {
    const dueMs = this.#persistentDueMs(nowMs);
    if (dueMs > nowMs) {
      this.#persistentAtMs = dueMs;
      return false;
    }
    this.#lastTraversalMs = nowMs;
    this.#persistentAtMs = nowMs + this.#persistentIntervalMs;
    return true;
  }

  #giveUp(nowMs: number): void {
    this.handleHandshakeComplete();
    this.#settledReceivedMs = nowMs;
    this.#surroundings.watchActivity();
    this.#zeroKeysAtMs = Math.min(this.#zeroKeysAtMs, nowMs + ZERO_KEYS_AFTER_MS);
  }
}
