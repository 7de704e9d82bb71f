/** What `iperf3 --json` and `ping` print, read. Both are the user's own programs, so anything unexpected throws. */

export interface IperfSummary {
  readonly seconds: number;
  /** Payload that arrived, of all streams and directions together. */
  readonly receivedBytes: number;
}

interface IperfSum {
  readonly seconds: number;
  readonly bytes: number;
}

interface IperfReport {
  readonly error?: string;
  readonly end?: {
    readonly sum_received?: IperfSum;
    /** With `--bidir` only: the way back. */
    readonly sum_received_bidir_reverse?: IperfSum;
  };
}

export function parseIperf(text: string): IperfSummary {
  const { error, end } = JSON.parse(text) as IperfReport;
  if (error !== undefined) throw new Error(`iperf3: ${error}`);
  const there = end?.sum_received;
  if (there === undefined) throw new Error("iperf3 printed no sum of what was received");
  return { seconds: there.seconds, receivedBytes: there.bytes + (end?.sum_received_bidir_reverse?.bytes ?? 0) };
}

export function gbitPerSecondOf({ receivedBytes, seconds }: IperfSummary): number {
  return (receivedBytes * 8e-9) / seconds;
}

/** The round trips in milliseconds, in the order of the replies. */
export function parsePing(text: string): number[] {
  return Array.from(text.matchAll(/ time=([\d.]+) ms/g), (match) => Number(match[1]));
}
