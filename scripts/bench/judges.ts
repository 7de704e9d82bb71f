/** What `iperf3 --json`, `ping` and `sockperf` print, read. All are the user's own, so anything unexpected throws. */

export interface IperfSummary {
  readonly seconds: number;
  /** Payload that arrived, of all streams and directions together. */
  readonly receivedBytes: number;
  /** Payload that the client sent, of all its streams. */
  readonly sentBytes: number;
  /** Segments that the client's TCP sent again; absent of UDP. */
  readonly retransmissions?: number;
  /** Share of the datagrams that never arrived; absent of TCP. */
  readonly lostPercent?: number;
}

interface IperfSum {
  readonly seconds: number;
  readonly bytes: number;
  readonly retransmits?: number;
  readonly lost_percent?: number;
}

interface IperfReport {
  readonly error?: string;
  readonly end?: {
    readonly sum_sent?: IperfSum;
    readonly sum_received?: IperfSum;
    /** With `--bidir` only: the way back. */
    readonly sum_received_bidir_reverse?: IperfSum;
  };
}

export function parseIperf(text: string): IperfSummary {
  const { error, end } = JSON.parse(text) as IperfReport;
  if (error !== undefined) throw new Error(`iperf3: ${error}`);
  const { sum_sent: sent, sum_received: there, sum_received_bidir_reverse: back } = end ?? {};
  if (sent === undefined || there === undefined) throw new Error("iperf3 printed no sum of what was sent and received");
  return {
    seconds: there.seconds,
    receivedBytes: there.bytes + (back?.bytes ?? 0),
    sentBytes: sent.bytes,
    ...(sent.retransmits !== undefined && { retransmissions: sent.retransmits }),
    ...(there.lost_percent !== undefined && { lostPercent: there.lost_percent }),
  };
}

/** @param bytes carried in `seconds` */
export function gbitPerSecondOf(bytes: number, seconds: number): number {
  return (bytes * 8e-9) / seconds;
}

/** The round trips in milliseconds, in the order of the replies. */
export function parsePing(text: string): number[] {
  return Array.from(text.matchAll(/ time=([\d.]+) ms/g), (match) => Number(match[1]));
}

export interface SockperfSummary {
  readonly seconds: number;
  /** Requests that were answered. */
  readonly replies: number;
}

/** The whole run of `sockperf ping-pong`: its statistics of latency leave out a margin at both ends. */
export function parseSockperf(text: string): SockperfSummary {
  const total = /\[Total Run\] RunTime=([\d.]+) sec;.* ReceivedMessages=(\d+)/.exec(text);
  if (total === null) throw new Error(`sockperf printed no total: ${text.trim().slice(-300)}`);
  return { seconds: Number(total[1]), replies: Number(total[2]) };
}
