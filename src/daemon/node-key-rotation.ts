/**
 * Giving this machine another WireGuard key without the loss of a packet: the next key is in the machine's record
 * before the tunnel uses it. Peers answer to both until they have heard the new one, and sessions of the former key
 * live on to their end.
 */

import type { Clock, Timer } from "../base/clock.ts";
import { MinitailError } from "../base/errors.ts";
import type { RandomSource } from "../crypto/random.ts";
import type { KeyPair } from "../trust/identity.ts";
import type { NodeKey } from "./node-key.ts";

/** A key that leaks serves whoever has it for so long at most. Each rotation costs the registry one write. */
export const NODE_KEY_LIVES_MS = 30 * 86_400_000;

/** Timers reach no further than some weeks; and a machine that was asleep notices. */
const LOOK_INTERVAL_MS = 6 * 3_600_000;

export interface NodeKeyRotationOptions {
  readonly nodeKey: NodeKey;
  readonly clock: Clock;
  readonly random: RandomSource;
  /** Says the key in the machine's record; false where the registry could not be told. */
  publish(nodeKey: Uint8Array): Promise<boolean>;
  /** The tunnel answers by this key from here on; sessions stay. */
  use(next: KeyPair): void;
}

export class NodeKeyRotation {
  readonly #options: NodeKeyRotationOptions;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;

  constructor(options: NodeKeyRotationOptions) {
    this.#options = options;
  }

  /** Rotates whenever the key has lived its time, until `stop`. */
  start(): void {
    this.#timer = this.#options.clock.after(LOOK_INTERVAL_MS, () => {
      const { nodeKey, clock } = this.#options;
      const isDue = clock.nowMs() - nodeKey.createdAtMs >= NODE_KEY_LIVES_MS;
      // What fails is tried at the next look.
      if (isDue) void this.rotate().catch(() => {});
      this.start();
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** Throws `registry-unreachable` where nobody could be told: the key stays. Who asks meanwhile waits for the same. */
  rotate(): Promise<void> {
    this.#running ??= this.#rotate().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #rotate(): Promise<void> {
    const { nodeKey, clock, random, publish, use } = this.#options;
    const next = nodeKey.drawNext(random);
    if (!(await publish(next.publicKey))) {
      nodeKey.abandonNext();
      void publish(nodeKey.current.publicKey);
      throw new MinitailError("registry-unreachable", "the registry could not be told of a new key", {
        hint: "this machine keeps its key; try again when minitail status shows the registry connected",
      });
    }
    use(next);
    nodeKey.adopt(next, clock.nowMs());
    // A record that was written meanwhile, as when the machine's addresses changed, may say the former key.
    await publish(next.publicKey);
  }
}
