/** The local clock against the times that signers signed. */

import { MinitailError } from "../base/errors.ts";
import type { ChainState } from "../trust/chain-state.ts";

/** What a signer signed this far in our future was not signed by a good clock, or ours is behind. */
export const CLOCK_TOLERANCE_MS = 10 * 60_000;

/** Unix time by which expiry is judged: the local clock, never earlier than the newest time a signer signed. */
export function judgedTimeMs(state: ChainState, nowMs: number): number {
  return Math.max(nowMs, state.newestSignerTimeMs);
}

/** By how much the local clock is behind what signers signed, 0 within the tolerance. */
export function clockBehindMs(state: ChainState, nowMs: number): number {
  const behindMs = state.newestSignerTimeMs - nowMs;
  return behindMs > CLOCK_TOLERANCE_MS ? behindMs : 0;
}

/** Throws `clock-off`, with how far. */
export function refuseClockOff(state: ChainState, nowMs: number): void {
  const behindMs = clockBehindMs(state, nowMs);
  if (behindMs === 0) return;
  throw new MinitailError("clock-off", `this machine's clock is ${formatSpan(behindMs)} behind the tailnet's`, {
    hint: "set the clock and try again",
  });
}

/** `3 days`, `5 hours`, `12 minutes`: the largest unit that fits. */
export function formatSpan(spanMs: number): string {
  const units: [string, number][] = [
    ["day", 86_400_000],
    ["hour", 3_600_000],
    ["minute", 60_000],
    ["second", 1000],
  ];
  const [name, unitMs] = units.find(([, size]) => spanMs >= size) ?? ["second", 1000];
  const count = Math.floor(spanMs / unitMs);
  return `${count} ${name}${count === 1 ? "" : "s"}`;
}
