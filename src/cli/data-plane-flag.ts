/** `--dataplane`, of the commands that carry packets. */

import type { DataPlaneChoice } from "../daemon/options.ts";

export const DATA_PLANE_CHOICES: readonly DataPlaneChoice[] = ["auto", "plain", "fast"];

/** The choice that the flag names, `undefined` where it was not given; others were refused before. */
export function dataPlaneChoice(text: string | undefined): DataPlaneChoice | undefined {
  return DATA_PLANE_CHOICES.find((choice) => choice === text);
}
