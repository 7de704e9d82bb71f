/**
 * Keeps the addresses and routes of the tunnel's interface there: network managers flush what they do not know, and the
 * kernel itself drops the routes and the IPv6 addresses of a link that is set down. A link that somebody set down is left
 * down, and said.
 *
 * What puts them back changes the network, which is told as any change is; nothing is missing by then, and so nothing
 * follows from it. Where another program takes them away again each time, it is tried less and less often, and said.
 */

import type { Clock, Timer } from "../base/clock.ts";
import { errorMessage, isMinitailError, MinitailError } from "../base/errors.ts";
import { formatPrefix } from "../base/ip.ts";
import type { Log } from "../base/log.ts";
import type { InterfaceSettings, restoreInterface } from "../host/interface-configuration.ts";
import { networksInPool, type RoutedNetwork } from "../host/pool-routes.ts";
import type { HealthItem } from "./api.ts";

/** For so long after something was put back nothing is: the step doubles with each time, up to the longest. */
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;
/** What was put back and stayed for so long was not fought over. */
const CALM_MS = 2 * LONGEST_PAUSE_MS;
/** As often within that is no accident. */
const CONTESTED_TIMES = 5;

const SHOWN_NETWORKS = 3;

export interface InterfaceUpkeepOptions {
  readonly wanted: InterfaceSettings;
  /** Whether the interface could be given its IPv6 addresses. */
  readonly ipv6: boolean;
  readonly restore: typeof restoreInterface;
  readonly clock: Clock;
  readonly log: Log;
}

export class InterfaceUpkeep {
  readonly #options: InterfaceUpkeepOptions;
  #ipv6: boolean;
  #isDown = false;
  #failure: MinitailError | undefined;
  /** How often something was put back without a calm time between. */
  #timesRestored = 0;
  #restoredAtMs = 0;
  #pause: Timer | undefined;
  /** Of other interfaces, as status shows them; `undefined` since the network changed. */
  #otherNetworks: readonly RoutedNetwork[] | undefined;

  constructor(options: InterfaceUpkeepOptions) {
    this.#options = options;
    this.#ipv6 = options.ipv6;
  }

  /** Links, addresses or routes of the machine changed, maybe by ourselves. */
  handleNetworkChange(): void {
    this.#otherNetworks = undefined;
    if (!this.#pause) this.#restore();
  }

  stop(): void {
    this.#pause?.cancel();
  }

  health(): HealthItem[] {
    const { name } = this.#options.wanted;
    const items: HealthItem[] = [];
    if (this.#isDown) {
      items.push({
        code: "interface-down",
        message: `the interface ${name} was set down by somebody: no packet passes`,
        hint: `ip link set ${name} up; its addresses and routes come back by themselves`,
      });
    }
    if (!this.#ipv6) items.push(ipv6Off(name));
    if (this.#failure) {
      const { code, message, hint = "see the daemon's log" } = this.#failure;
      items.push({ code, message, hint });
    }
    if (this.#isContested()) {
      items.push({
        code: "interface-contested",
        message: `another program takes the addresses or routes of ${name} away: they were put back ${this.#timesRestored} times`,
        hint: `find it, and have it leave ${name} alone: a network manager calls that unmanaged`,
      });
    }
    return [...items, ...this.#overlapHealth()];
  }

  #restore(): void {
    const { wanted, restore, log } = this.#options;
    let found: ReturnType<typeof restoreInterface>;
    try {
      found = restore(wanted);
    } catch (error) {
      const hint = "it is tried again when the network changes";
      const message = `the interface ${wanted.name} lacks addresses or routes: ${errorMessage(error)}`;
      this.#fail(isMinitailError(error) ? error : new MinitailError("internal", message, { hint, cause: error }));
      return;
    }
    // The end of the interface is the data plane's to tell; under another name it is somebody's who knows why.
    if (found === "gone") return;
    const wasDown = this.#isDown;
    this.#isDown = found === "down";
    if (found === "down") {
      if (!wasDown) log.warn(`the interface ${wanted.name} was set down: no packet passes until it is up again`);
      return;
    }
    this.#ipv6 = found.ipv6;
    this.#fail(found.failure);
    if (found.added.length > 0) this.#handleRestored(found.added);
  }

  #fail(failure: MinitailError | undefined): void {
    if (failure && failure.message !== this.#failure?.message) this.#options.log.warn(failure.message);
    this.#failure = failure;
  }

  #handleRestored(added: readonly string[]): void {
    const { wanted, clock, log } = this.#options;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#restoredAtMs > CALM_MS) this.#timesRestored = 0;
    this.#restoredAtMs = nowMs;
    this.#timesRestored++;
    if (this.#timesRestored === 1) log.warn(`${wanted.name} had lost what is put back: ${added.join(", ")}`);
    if (this.#timesRestored === CONTESTED_TIMES) {
      log.warn(
        `${wanted.name} loses its addresses or routes again and again: they are put back less often from here on`,
      );
    }
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** (this.#timesRestored - 1), LONGEST_PAUSE_MS);
    this.#pause = clock.after(pauseMs, () => {
      this.#pause = undefined;
      this.#restore();
    });
  }

  #isContested(): boolean {
    const isRecent = this.#options.clock.monotonicMs() - this.#restoredAtMs <= CALM_MS;
    return this.#timesRestored >= CONTESTED_TIMES && isRecent;
  }

  #overlapHealth(): HealthItem[] {
    const { name, routes } = this.#options.wanted;
    this.#otherNetworks ??= networksInPool(routes, name);
    const networks = this.#otherNetworks;
    if (networks.length === 0) return [];
    const shown = networks
      .slice(0, SHOWN_NETWORKS)
      .map((other) => `${formatPrefix(other.prefix)} of ${other.interfaceName}`);
    const more = networks.length > SHOWN_NETWORKS ? ` and ${networks.length - SHOWN_NETWORKS} more` : "";
    return [
      {
        code: "pool-overlap",
        message: `the tailnet's addresses overlap ${shown.join(", ")}${more}: of two machines with the same one only one is reached`,
        hint: "give that network other addresses, or make the tailnet anew with another --pool",
      },
    ];
  }
}

function ipv6Off(name: string): HealthItem {
  return {
    code: "ipv6-off",
    message: `the interface ${name} can have no IPv6 address: the tunnel carries IPv4 alone`,
    hint: `set net.ipv6.conf.all.disable_ipv6 and net.ipv6.conf.${name}.disable_ipv6 to 0, and its MTU to 1280 or more`,
  };
}
