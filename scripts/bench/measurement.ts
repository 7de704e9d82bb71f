/** What is measured of one rival in one round, and how each figure is called, shown and compared. */

import { median } from "./statistics.ts";

/** One round. A figure that was not asked for, or does not exist for a rival (no tunnel has no processes), is absent. */
export interface Measurement {
  readonly tcpOneStreamGbitPerSecond?: number;
  readonly tcpFourStreamsGbitPerSecond?: number;
  /** Sum of both directions of one transfer each way at the same time. */
  readonly tcpBothWaysGbitPerSecond?: number;
  /** Segments of the one stream that were sent again, for a gigabit of its payload. */
  readonly retransmissionsPerGbit?: number;
  /** User and system time of both ends' processes for a gigabit of one TCP stream's payload. */
  readonly cpuSecondsPerGbit?: number;
  /** What the sender's socket took of the 3 Gbit/s that it was to be offered. */
  readonly udpSentGbitPerSecond?: number;
  readonly udpReceivedGbitPerSecond?: number;
  /** Of the datagrams sent. */
  readonly udpLostPercent?: number;
  /** Small messages answered one after the other, over one connection or socket. */
  readonly tcpRequestsPerSecond?: number;
  readonly udpRequestsPerSecond?: number;
  /** Median round trip with nothing else in the tunnel. */
  readonly pingIdleMs?: number;
  /** Median round trip beside one TCP stream. */
  readonly pingLoadedMs?: number;
  /** Memory figures are those of the end that has more; loaded ones the most seen during transfers and requests. */
  readonly residentIdleMiB?: number;
  readonly residentLoadedMiB?: number;
  readonly anonymousIdleMiB?: number;
  readonly anonymousLoadedMiB?: number;
  /** From starting both programs until their interfaces are there, and can be configured if they have to be. */
  readonly interfaceReadyMs?: number;
  /** From starting both programs, with their configuration if it comes later, to the first echo through the tunnel. */
  readonly firstReplyMs?: number;
}

export type Figure = keyof Measurement;

export type Medians = Readonly<Partial<Record<Figure, number>>>;

export interface FigureColumn {
  readonly figure: Figure;
  readonly title: string;
  readonly decimals: number;
  readonly isBetter: "higher" | "lower";
}

/** A table each. */
export const FIGURE_TABLES: readonly (readonly FigureColumn[])[] = [
  [
    { figure: "tcpOneStreamGbitPerSecond", title: "TCP 1 stream Gbit/s", decimals: 2, isBetter: "higher" },
    { figure: "tcpFourStreamsGbitPerSecond", title: "4 streams", decimals: 2, isBetter: "higher" },
    { figure: "tcpBothWaysGbitPerSecond", title: "both ways", decimals: 2, isBetter: "higher" },
    { figure: "retransmissionsPerGbit", title: "sent again/Gbit", decimals: 1, isBetter: "lower" },
    { figure: "cpuSecondsPerGbit", title: "CPU s/Gbit", decimals: 2, isBetter: "lower" },
    { figure: "pingIdleMs", title: "ping idle ms", decimals: 3, isBetter: "lower" },
    { figure: "pingLoadedMs", title: "ping loaded ms", decimals: 2, isBetter: "lower" },
  ],
  [
    { figure: "udpSentGbitPerSecond", title: "UDP sent of 3 Gbit/s", decimals: 2, isBetter: "higher" },
    { figure: "udpReceivedGbitPerSecond", title: "received", decimals: 2, isBetter: "higher" },
    { figure: "udpLostPercent", title: "lost %", decimals: 1, isBetter: "lower" },
    { figure: "tcpRequestsPerSecond", title: "TCP requests/s", decimals: 0, isBetter: "higher" },
    { figure: "udpRequestsPerSecond", title: "UDP requests/s", decimals: 0, isBetter: "higher" },
  ],
  [
    { figure: "residentIdleMiB", title: "RSS idle MiB", decimals: 0, isBetter: "lower" },
    { figure: "residentLoadedMiB", title: "loaded MiB", decimals: 0, isBetter: "lower" },
    { figure: "anonymousIdleMiB", title: "anonymous idle MiB", decimals: 0, isBetter: "lower" },
    { figure: "anonymousLoadedMiB", title: "loaded MiB", decimals: 0, isBetter: "lower" },
    { figure: "interfaceReadyMs", title: "interface ms", decimals: 0, isBetter: "lower" },
    { figure: "firstReplyMs", title: "first reply ms", decimals: 0, isBetter: "lower" },
  ],
];

export const FIGURES: readonly Figure[] = FIGURE_TABLES.flat().map(({ figure }) => figure);

/** The median of each figure over the rounds that have it. */
export function mediansOf(rounds: readonly Measurement[]): Medians {
  const medians: Partial<Record<Figure, number>> = {};
  for (const figure of FIGURES) {
    const middle = median(rounds.flatMap((round) => round[figure] ?? []));
    if (middle !== undefined) medians[figure] = middle;
  }
  return medians;
}

/** Each figure as a multiple of the same of `reference`, where both have it. */
export function ratiosTo(reference: Medians, medians: Medians): Medians {
  const ratios: Partial<Record<Figure, number>> = {};
  for (const figure of FIGURES) {
    const [value, base] = [medians[figure], reference[figure]];
    if (value !== undefined && base !== undefined && base > 0) ratios[figure] = value / base;
  }
  return ratios;
}
