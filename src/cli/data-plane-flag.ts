/** `--dataplane` and `--offloads`, of the commands that carry packets. */

import { type DataPlaneChoice, OFFLOADS, type Offload } from "../daemon/options.ts";

export const DATA_PLANE_CHOICES: readonly DataPlaneChoice[] = ["auto", "plain", "fast"];

/** The choice that the flag names, `undefined` where it was not given; others were refused before. */
export function dataPlaneChoice(text: string | undefined): DataPlaneChoice | undefined {
  return DATA_PLANE_CHOICES.find((choice) => choice === text);
}

/** The offloads that the flag names, in their own order; `undefined` where it was not given. */
export function offloadChoice(text: string | undefined): readonly Offload[] | undefined {
  if (text === undefined) return undefined;
  const names = text.split(",");
  return names.includes("all") ? OFFLOADS : OFFLOADS.filter((offload) => names.includes(offload));
}
