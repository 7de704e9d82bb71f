/**
 * Probes the paths to peers for how large packets may be (`PathProbing`): when a peer has a session, and where its way
 * becomes another. Peers that have none are left alone.
 */

import type { Clock, Timer } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import { PathProbing, type PathProbingResult, PROBE_ROUND_MS, RAISE_AFTER_MS } from "../path/path-probing.ts";
import { REKEY_AFTER_TIME_MS } from "../wireguard/constants.ts";
import type { PathMtus } from "./path-mtus.ts";

/** The peers of a tunnel, for whoever has an address in it. */
export interface ProbedPeers {
  /**
   * Sends the peer a packet of this length that it answers, and that nobody cuts on its way. `onAnswer` is called when
   * it does, until what this answers is called. `undefined` where no such peer is known.
   */
  probe(slot: number, packetBytes: number, onAnswer: () => void): (() => void) | undefined;
  /** For people. */
  nameOf(slot: number): string;
}

/** As many at once; each may send some 20 packets a second. */
export const MOST_PROBINGS = 16;

/** Addresses and links change several at a time, on some machines every few seconds, and most changes are of no way. */
export const NETWORK_SETTLES_MS = 5000;

interface ProbedPath {
  sessionAtMs: number;
  /** Until then what is larger than the limit is not tried again, and a silent peer is left alone. */
  patientUntilMs: number;
  /** The way became another since the limit was found. */
  isStale: boolean;
  running: RunningProbing | undefined;
}

interface RunningProbing {
  readonly probing: PathProbing;
  readonly forgetProbes: (() => void)[];
  timer: Timer | undefined;
}

export class PathProbes {
  readonly #mtus: PathMtus;
  readonly #peers: ProbedPeers;
  readonly #clock: Clock;
  readonly #log: Log;
  /** By slot. */
  readonly #paths = new Map<number, ProbedPath>();
  /** Slots of those that wait for their turn. */
  readonly #waiting = new Set<number>();
  #runningCount = 0;
  #settling: Timer | undefined;

  constructor(mtus: PathMtus, peers: ProbedPeers, clock: Clock, log: Log) {
    this.#mtus = mtus;
    this.#peers = peers;
    this.#clock = clock;
    this.#log = log;
  }

  handleSession(slot: number): void {
    const sessionAtMs = this.#clock.monotonicMs();
    const path = this.#paths.get(slot);
    if (path) path.sessionAtMs = sessionAtMs;
    else this.#paths.set(slot, { sessionAtMs, patientUntilMs: 0, isStale: false, running: undefined });
    const isSilent = path && sessionAtMs < path.patientUntilMs && this.#mtus.probedLimit(slot) === 0;
    if (!isSilent) this.#begin(slot);
  }

  /** The peer is elsewhere. */
  handleEndpoint(slot: number): void {
    const path = this.#paths.get(slot);
    if (path) this.#beginAnew(slot, path);
  }

  /** Every way may be another now. Those that have a limit may have it for nothing, and are probed at once. */
  handleNetworkChange(): void {
    if (this.#settling) return;
    for (const [slot, path] of this.#paths) if (this.#mtus.probedLimit(slot) !== 0) this.#beginAnew(slot, path);
    this.#settling = this.#clock.after(NETWORK_SETTLES_MS, () => {
      this.#settling = undefined;
      for (const [slot, path] of this.#paths) this.#beginAnew(slot, path);
    });
  }

  /** The peer is gone. */
  forget(slot: number): void {
    const path = this.#paths.get(slot);
    this.#paths.delete(slot);
    this.#waiting.delete(slot);
    if (path) this.#end(path);
  }

  stop(): void {
    this.#settling?.cancel();
    this.#waiting.clear();
    for (const path of this.#paths.values()) this.#halt(path);
    this.#paths.clear();
  }

  /** What was found is of another way. It counts until something else is found. */
  #beginAnew(slot: number, path: ProbedPath): void {
    path.isStale = true;
    path.patientUntilMs = 0;
    this.#end(path);
    this.#begin(slot);
  }

  /** Takes its turn when others have had theirs. */
  #begin(slot: number): void {
    if (!this.#paths.get(slot)?.running) this.#waiting.add(slot);
    this.#beginWaiting();
  }

  #beginWaiting(): void {
    for (const slot of this.#waiting) {
      if (this.#runningCount >= MOST_PROBINGS) return;
      this.#waiting.delete(slot);
      const path = this.#paths.get(slot)!;
      // A peer in use has a younger session: this one is idle, and a packet to it would ask for the next.
      if (this.#clock.monotonicMs() - path.sessionAtMs >= REKEY_AFTER_TIME_MS) continue;
      const probing = this.#probingOf(slot, path);
      path.running = { probing, forgetProbes: [], timer: undefined };
      this.#runningCount++;
      this.#send(slot, path, path.running, [probing.firstBytes]);
      // Nobody knows the peer yet. Its next session may be of one that is known.
      if (path.running.forgetProbes.length === 0) this.#halt(path);
    }
  }

  #probingOf(slot: number, { patientUntilMs }: ProbedPath): PathProbing {
    const fullBytes = this.#mtus.wantedBytes(slot);
    const limitBytes = this.#mtus.probedLimit(slot);
    const isPatient = limitBytes !== 0 && limitBytes < fullBytes && this.#clock.monotonicMs() < patientUntilMs;
    return new PathProbing(fullBytes, isPatient ? limitBytes : fullBytes);
  }

  /** Sends a round. Answers to those before it are still heard. */
  #send(slot: number, path: ProbedPath, running: RunningProbing, sizes: readonly number[]): void {
    const { probing, forgetProbes } = running;
    running.timer = this.#clock.after(PROBE_ROUND_MS, () => {
      const next = probing.handleRoundEnd();
      if ("type" in next) this.#handleResult(slot, path, next);
      else this.#send(slot, path, running, next);
    });
    for (const size of sizes) {
      const forget = this.#peers.probe(slot, size, () => {
        const result = probing.handleAnswer(size);
        if (result) this.#handleResult(slot, path, result);
      });
      if (forget) forgetProbes.push(forget);
    }
  }

  #handleResult(slot: number, path: ProbedPath, result: PathProbingResult): void {
    const nowMs = this.#clock.monotonicMs();
    const beforeBytes = this.#mtus.probedLimit(slot);
    let limitBytes = 0;
    if (result.type === "narrow") limitBytes = result.limitBytes;
    else if (result.type === "silent" && !path.isStale) limitBytes = beforeBytes;
    if (result.type === "wide") path.patientUntilMs = 0;
    else if (nowMs >= path.patientUntilMs || limitBytes !== beforeBytes) path.patientUntilMs = nowMs + RAISE_AFTER_MS;
    path.isStale = false;
    if (limitBytes !== beforeBytes) this.#setLimit(slot, limitBytes);
    this.#end(path);
  }

  #setLimit(slot: number, limitBytes: number): void {
    this.#mtus.setProbed(slot, limitBytes);
    const name = this.#peers.nameOf(slot);
    if (limitBytes === 0) this.#log.info(`packets of all sizes go to ${name} again`);
    else
      this.#log.info(`packets larger than ${limitBytes} bytes get lost on the way to ${name}: smaller ones are made`);
  }

  #end(path: ProbedPath): void {
    this.#halt(path);
    this.#beginWaiting();
  }

  #halt(path: ProbedPath): void {
    const { running } = path;
    if (!running) return;
    path.running = undefined;
    running.timer?.cancel();
    for (const forget of running.forgetProbes) forget();
    this.#runningCount--;
  }
}
