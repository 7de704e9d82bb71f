/**
 * Whether data passed that the other side has left unanswered, seen from the data plane's notes and
 * from what the device knows by itself.
 *
 * The notes hold the first unanswered data packet, counted from the last packet of the other
 * direction. Handshake messages answer too, but are not in the notes: an answer of that kind "settles"
 * all data before it, and the notes then hide data that came after it, behind the older packet. So the
 * device has the data plane watch from there on, and takes the moment that it reports instead.
 */

import type { PeerActivity } from "./action.ts";

/** What the device knows of one direction besides the notes. Times in `nowMs`; 0 is never. */
export interface Knowledge {
  /** Data until then has been answered by a handshake message, or acted on. */
  readonly settledMs: number;
  /** When the data plane last reported data. */
  readonly reportedMs: number;
}

/** When the first data was sent that nothing has answered; `undefined` where there is none. */
export function unansweredSentMs(activity: PeerActivity, knowledge: Knowledge): number | undefined {
  return unansweredMs(activity.firstUnansweredSentMs, activity.lastReceivedMs, knowledge);
}

/** When the first data was received that we have not answered; `undefined` where there is none. */
export function unansweredReceivedMs(activity: PeerActivity, knowledge: Knowledge): number | undefined {
  return unansweredMs(activity.firstUnansweredReceivedMs, activity.lastSentMs, knowledge);
}

function unansweredMs(firstMs: number, answeredMs: number, { settledMs, reportedMs }: Knowledge): number | undefined {
  if (firstMs <= answeredMs) return undefined;
  if (firstMs > settledMs) return firstMs;
  return reportedMs > settledMs ? reportedMs : undefined;
}
