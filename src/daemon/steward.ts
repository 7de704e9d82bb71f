/**
 * A signer's daemon does what is owed to the tailnet (`duties.ts`). Not all signers do it at once: each has its place
 * in the order of admission, and waits longer the later that is. Who finds it done by then has nothing to do.
 */

import type { Clock, Timer } from "../base/clock.ts";
import { errorMessage } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { RandomSource } from "../crypto/random.ts";
import { signerOf } from "../trust/chain-state.ts";
import { secretSealKey } from "../trust/secret.ts";
import { doDuties, dutiesNow } from "./decide/do-duties.ts";
import { LateJoins } from "./late-joins.ts";
import { memberSigners } from "./signers.ts";
import type { Tailnet } from "./tailnet.ts";
import { randomFraction } from "./tailnet-context.ts";

/** Who decides something lets its own rotation come first, and several things that come together make one write. */
const FIRST_WAIT_MS = 1_000;
/** As long as a signer that is there needs to do it, and the others to hear of it. */
const WAIT_PER_PLACE_MS = 20_000;
const LONGEST_WAIT_MS = 10 * 60_000;
const JITTER_MS = 2_000;
/** What comes due by time alone is looked for so often. */
const LOOK_INTERVAL_MS = 60_000;
/** Until the registry was read for the first time. */
const FIRST_LOOK_INTERVAL_MS = 1_000;

export interface StewardOptions {
  readonly tailnet: Tailnet;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Log;
}

export class Steward {
  readonly #options: StewardOptions;
  readonly #lateJoins = new LateJoins();
  #stopListening: (() => void) | undefined;
  #look: Timer | undefined;
  #turn: Timer | undefined;
  /** The last epoch of which this machine knows that who has the shared secret can come in. */
  #secretBoxEpoch = 0;
  #failures = 0;
  #stopped = false;

  constructor(options: StewardOptions) {
    this.#options = options;
  }

  start(): void {
    this.#stopListening = this.#options.tailnet.onChange(() => this.#consider());
    this.#lookAgain();
  }

  stop(): void {
    this.#stopped = true;
    this.#stopListening?.();
    this.#look?.cancel();
    this.#turn?.cancel();
  }

  #lookAgain(): void {
    this.#consider();
    const { clock, tailnet } = this.#options;
    const intervalMs = tailnet.lastSyncAtMs === undefined ? FIRST_LOOK_INTERVAL_MS : LOOK_INTERVAL_MS;
    this.#look = clock.after(intervalMs, () => this.#lookAgain());
  }

  /** Waits for its turn where something is owed, and for nothing where nothing is. */
  #consider(): void {
    const { clock } = this.#options;
    if (this.#stopped) return;
    if (!this.#isOwed()) {
      this.#turn?.cancel();
      this.#turn = undefined;
      this.#failures = 0;
      return;
    }
    this.#turn ??= clock.after(this.#waitMs(), () => void this.#takeTurn());
  }

  /** Whoever has not read the registry yet does not know whether it was done. */
  #isOwed(): boolean {
    const { tailnet } = this.#options;
    if (!tailnet.signer("all") || !tailnet.self || tailnet.lastSyncAtMs === undefined) return false;
    return dutiesNow(tailnet, this.#lateJoins) !== undefined || this.#lacksSecretBox;
  }

  /** A signer that does not know the shared secret rotates without a box for those who do. */
  get #lacksSecretBox(): boolean {
    const { tailnet } = this.#options;
    return tailnet.secretSigner !== undefined && tailnet.epoch > this.#secretBoxEpoch && !tailnet.lacksNetworkKey;
  }

  async #putSecretBox(): Promise<void> {
    const { tailnet } = this.#options;
    const { epoch, secretSigner } = tailnet;
    if (!secretSigner || !this.#lacksSecretBox) return;
    await tailnet.putMissingBoxes([secretSealKey(secretSigner).publicKey]);
    this.#secretBoxEpoch = epoch;
  }

  #waitMs(): number {
    const { tailnet, random } = this.#options;
    const waitMs = FIRST_WAIT_MS + WAIT_PER_PLACE_MS * (placeOf(tailnet) + 2 ** this.#failures - 1);
    return Math.min(waitMs, LONGEST_WAIT_MS) + randomFraction(random) * JITTER_MS;
  }

  async #takeTurn(): Promise<void> {
    const { tailnet, log } = this.#options;
    try {
      if (this.#isOwed()) await doDuties(tailnet, this.#lateJoins);
      await this.#putSecretBox();
      this.#failures = 0;
    } catch (error) {
      this.#failures++;
      log.warn(`what a signer owes the tailnet could not be done: ${errorMessage(error)}`);
    }
    this.#turn = undefined;
    this.#consider();
  }
}

/** Who comes before this machine: signers by when they were made one; where the shared secret signs, members by when they joined. */
function placeOf({ state, selfId, self }: Tailnet): number {
  const inOrder = memberSigners(state, "all").toSorted(
    (a, b) => signerOf(state, a.machineKey)!.admittedAtNumber - signerOf(state, b.machineKey)!.admittedAtNumber,
  );
  const place = inOrder.findIndex(({ id }) => id === selfId);
  if (place >= 0) return place;
  const earlier = [...state.members.values()].filter(
    ({ joinedAtNumber }) => joinedAtNumber < (self?.joinedAtNumber ?? 0),
  );
  return inOrder.length + earlier.length;
}
