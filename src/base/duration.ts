/** Durations as people write them: `500ms`, `5s`, `1h30m`, `7d`. */

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

type Unit = keyof typeof UNIT_MS;

/** Largest to smallest, as they are written one after the other. */
const UNITS: readonly Unit[] = ["d", "h", "m", "s", "ms"];

/** Milliseconds of one or more numbers with a unit each; `undefined` for any other text. A bare number has no unit. */
export function parseDurationMs(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return undefined;
  let totalMs = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    totalMs += Number(amount) * UNIT_MS[unit as Unit];
  }
  return Number.isFinite(totalMs) ? totalMs : undefined;
}

/** The two largest units that say something: `1h30m`, `5s`, `0s`. Below a second, milliseconds. */
export function formatDurationMs(durationMs: number): string {
  let restMs = Math.round(durationMs);
  const parts: string[] = [];
  for (const unit of UNITS) {
    const amount = Math.floor(restMs / UNIT_MS[unit]);
    restMs -= amount * UNIT_MS[unit];
    if (amount > 0) parts.push(`${amount}${unit}`);
    else if (parts.length > 0) break;
    if (parts.length === 2) break;
  }
  return parts.join("") || "0s";
}
