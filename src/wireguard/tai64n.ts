/**
 * TAI64N timestamps (https://cr.yp.to/libtai/tai64.html), which make an initiation acceptable once
 * (WireGuard paper, section 5.1).
 *
 *      0  8  2^62 + seconds since 1970-01-01 00:00:00 TAI, big-endian
 *      8  4  nanoseconds, big-endian
 *
 * The order of time is the order of bytes. TAI is taken as 10 seconds ahead of Unix time, as other
 * WireGuards do: only the order matters.
 */

import { compareBytes } from "../base/bytes.ts";

export const TAI64N_LENGTH_BYTES = 12;

const SECONDS_BASE = 2n ** 62n + 10n;
const NANOSECONDS_PER_SECOND = 1_000_000_000n;
/** Nanoseconds are given in steps of 2^24 (16.8 ms), so that they tell nobody how fast we compute. */
const STEP_NANOSECONDS = 1n << 24n;

/** The timestamp of `unixMs`, or the next one after `previous` where the clock has not moved past it. */
export function encodeTai64n(unixMs: number, previous?: Uint8Array): Uint8Array {
  const stamp = encode(BigInt(Math.floor(unixMs * 1e6)));
  if (!previous || compareBytes(stamp, previous) > 0) return stamp;
  return encode(decode(previous) + STEP_NANOSECONDS);
}

function encode(unixNanoseconds: bigint): Uint8Array {
  const nanoseconds = unixNanoseconds % NANOSECONDS_PER_SECOND;
  const bytes = new Uint8Array(TAI64N_LENGTH_BYTES);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, SECONDS_BASE + unixNanoseconds / NANOSECONDS_PER_SECOND);
  view.setUint32(8, Number(nanoseconds - (nanoseconds % STEP_NANOSECONDS)));
  return bytes;
}

/** Unix time in nanoseconds. */
function decode(timestamp: Uint8Array): bigint {
  const view = new DataView(timestamp.buffer, timestamp.byteOffset);
  return (view.getBigUint64(0) - SECONDS_BASE) * NANOSECONDS_PER_SECOND + BigInt(view.getUint32(8));
}
