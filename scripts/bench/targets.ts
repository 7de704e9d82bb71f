/** What minitail is to reach: a floor that must hold, a goal, and which of them a figure has reached. */

import type { Figure, Medians } from "./measurement.ts";
import { formatRows } from "./table.ts";

/** Names of rivals. */
export interface Roles {
  readonly own: string;
  readonly reference: string;
  /** minitail sends to the reference. */
  readonly toStock: string;
  /** The reference sends to minitail. */
  readonly fromStock: string;
  /** Everybody else's programs, among them the reference. */
  readonly others: readonly string[];
}

interface Limits {
  readonly floor?: number;
  readonly goal?: number;
  readonly isBetter: "higher" | "lower";
}

interface Target extends Limits {
  readonly title: string;
  readonly figure: Figure;
  readonly of: "own" | "toStock" | "fromStock";
  /** The value is a multiple of theirs; without it, the figure itself. */
  readonly relativeTo?: "reference" | "best";
}

export interface Judgement extends Limits {
  readonly title: string;
  readonly value: number;
  readonly reached: "goal" | "floor" | "neither";
}

const TCP = { of: "own", relativeTo: "reference", floor: 1.6, goal: 2, isBetter: "higher" } as const;
const STOCK = { ...TCP, figure: "tcpOneStreamGbitPerSecond", floor: 1.1, goal: 1.25 } as const;
const COST = { of: "own", isBetter: "lower" } as const;
const IDLE_PING = { ...COST, figure: "pingIdleMs" } as const;

const TARGETS: readonly Target[] = [
  { ...TCP, title: "TCP 1 stream / wireguard-go", figure: "tcpOneStreamGbitPerSecond" },
  { ...TCP, title: "TCP 4 streams / wireguard-go", figure: "tcpFourStreamsGbitPerSecond" },
  { ...TCP, title: "TCP both ways / wireguard-go", figure: "tcpBothWaysGbitPerSecond" },
  { ...STOCK, title: "TCP to wireguard-go / wireguard-go", of: "toStock" },
  { ...STOCK, title: "TCP from wireguard-go / wireguard-go", of: "fromStock" },
  {
    ...TCP,
    title: "UDP received / best rival",
    figure: "udpReceivedGbitPerSecond",
    relativeTo: "best",
    floor: 1.1,
    goal: 1.5,
  },
  {
    ...COST,
    title: "CPU s/Gbit / wireguard-go",
    figure: "cpuSecondsPerGbit",
    relativeTo: "reference",
    floor: 0.7,
    goal: 0.5,
  },
  { ...COST, title: "ping loaded ms", figure: "pingLoadedMs", floor: 1, goal: 0.5 },
  { ...IDLE_PING, title: "ping idle / wireguard-go", relativeTo: "reference", floor: 1 },
  { ...IDLE_PING, title: "ping idle / best rival", relativeTo: "best", goal: 1 },
  { ...COST, title: "anonymous loaded MiB", figure: "anonymousLoadedMiB", floor: 40 },
  { ...COST, title: "interface ms", figure: "interfaceReadyMs", floor: 150 },
];

/** The targets for which everybody concerned was measured; "best" is the best of those that were. */
export function judgeTargets(
  results: readonly { readonly name: string; readonly medians: Medians }[],
  roles: Roles,
): Judgement[] {
  const figureOf = (name: string, figure: Figure) => results.find((result) => result.name === name)?.medians[figure];
  return TARGETS.flatMap(({ figure, of, relativeTo, ...target }) => {
    const names = relativeTo === "best" ? roles.others : [roles.reference];
    const theirs = names.flatMap((name) => figureOf(name, figure) ?? []);
    const own = figureOf(roles[of], figure);
    if (own === undefined || (relativeTo !== undefined && theirs.length === 0)) return [];
    const best = target.isBetter === "higher" ? Math.max(...theirs) : Math.min(...theirs);
    const value = relativeTo === undefined ? own : own / best;
    return [{ ...target, value, reached: highestReached(value, target) }];
  });
}

function highestReached(value: number, { floor, goal, isBetter }: Limits): Judgement["reached"] {
  const reaches = (limit: number | undefined) => {
    return limit !== undefined && (isBetter === "higher" ? value >= limit : value <= limit);
  };
  return reaches(goal) ? "goal" : reaches(floor) ? "floor" : "neither";
}

export function formatTargets(judgements: readonly Judgement[]): string {
  const rows = judgements.map(({ title, value, floor, goal, isBetter, reached }) => {
    return [title, value.toFixed(2), floor?.toFixed(2) ?? "", goal?.toFixed(2) ?? "", isBetter, reached];
  });
  return formatRows([["minitail", "value", "floor", "goal", "better is", "reached"], ...rows]);
}
