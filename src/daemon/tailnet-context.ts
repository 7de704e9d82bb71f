/** What every part of a tailnet's membership works with. */

import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { RandomSource } from "../crypto/random.ts";
import type { Registry } from "../registry/registry.ts";
import type { MachineIdentity } from "../trust/identity.ts";
import type { RegistryPlace } from "../trust/registry-place.ts";
import type { HealthItem } from "./api.ts";
import type { RegistryTokens } from "./tailnet-epochs.ts";
import type { TailnetStore } from "./tailnet-store.ts";

export interface TailnetContext {
  readonly registry: Registry;
  readonly store: TailnetStore;
  readonly identity: MachineIdentity;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Log;
  /** The registry is this machine's own: it is the first to come to it, and need not wait for others to fill it again. */
  readonly servesRegistry?: boolean;
  /** What keeps `store` from writing now. */
  storeHealth?(): HealthItem[];
  /** Takes the registry's tokens up, which are on disk: at each start and with each epoch. */
  useTokens?(tokens: RegistryTokens): void;
  /** Follows the registry where the chain says that it moved; true if `registry` is another one since, to be read anew. */
  followMove?(places: readonly RegistryPlace[]): boolean;
}

/** Resolves after `delayMs`. */
export function delay(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(delayMs, resolve);
  });
}

/** A random number of 0 to 1, 1 excluded, for spreading what many would do at once. */
export function randomFraction(random: RandomSource): number {
  const [high, low] = random(2);
  return (high! * 256 + low!) / 65536;
}
