/** The local clock against the times that signers signed. */

import { MinitailError } from "../base/errors.ts";
import { type ChainState, signerOf } from "../trust/chain-state.ts";
import type { NodeId } from "../trust/identity.ts";
import type { MachineRecord } from "../trust/record.ts";

/** What a signer signed this far in our future was not signed by a good clock, or ours is behind. */
export const CLOCK_TOLERANCE_MS = 10 * 60_000;

/** Unix time by which expiry is judged: the local clock, never earlier than the newest time a signer signed. */
export function judgedTimeMs(newestSignedMs: number, nowMs: number): number {
  return Math.max(nowMs, newestSignedMs);
}

/** By how much the local clock is behind what signers signed, 0 within the tolerance. */
export function clockBehindMs(newestSignedMs: number, nowMs: number): number {
  const behindMs = newestSignedMs - nowMs;
  return behindMs > CLOCK_TOLERANCE_MS ? behindMs : 0;
}

/**
 * The newest time that a signer with scope `all` signed, in the chain or in a record of its own; 0 for none. Who only
 * admits ends no membership, and so sets no clock.
 */
export function newestSignedTimeMs(state: ChainState, records: ReadonlyMap<NodeId, MachineRecord>): number {
  let newestMs = state.newestSignerTimeMs;
  for (const { id, machineKey } of state.members.values()) {
    const record = records.get(id);
    if (record && signerOf(state, machineKey)?.scope === "all") newestMs = Math.max(newestMs, record.timeMs);
  }
  return newestMs;
}

/** Throws `clock-off`, with how far. */
export function refuseClockOff(state: ChainState, nowMs: number): void {
  const behindMs = clockBehindMs(state.newestSignerTimeMs, nowMs);
  if (behindMs === 0) return;
  throw new MinitailError("clock-off", `this machine's clock is ${formatSpan(behindMs)} behind the tailnet's`, {
    hint: CLOCK_HINT,
  });
}

export const CLOCK_HINT = "set the clock; if it is right, the clock of the machine that admits others was ahead";

interface SpanUnit {
  readonly name: string;
  readonly unitMs: number;
  /** As many are one of the next unit. */
  readonly inNext: number;
}

const SPAN_UNITS: readonly SpanUnit[] = [
  { name: "second", unitMs: 1000, inNext: 60 },
  { name: "minute", unitMs: 60_000, inNext: 60 },
  { name: "hour", unitMs: 3_600_000, inNext: 24 },
  { name: "day", unitMs: 86_400_000, inNext: Number.POSITIVE_INFINITY },
];

/** `3 days`, `5 hours`, `12 minutes`: rounded to the nearest, in the largest unit of which that is one or more. */
export function formatSpan(spanMs: number): string {
  const { name, unitMs } = SPAN_UNITS.find((unit) => Math.round(spanMs / unit.unitMs) < unit.inNext)!;
  const count = Math.round(spanMs / unitMs);
  return `${count} ${name}${count === 1 ? "" : "s"}`;
}
