/** `minitail key list` */

import { keyListCall, type ListedKey } from "../../daemon/calls/key-list.ts";
import { LocalApiClient } from "../../daemon/local-api-client.ts";
import { declareCommand } from "../declare.ts";
import { EXIT_DONE } from "../exit-status.ts";
import { formatTable, type Output } from "../output.ts";
import { tellIfSlow } from "../waiting.ts";

export default declareCommand({
  name: "list",
  description: "the join keys that still admit machines",
  examples: ["minitail key list", "minitail key list --all --json"],
  args: { all: { type: "boolean", description: "also those that were used, have expired, or were cancelled" } },
  async run(args, { globals, log, output }) {
    const list = await tellIfSlow(log, "the daemon", new LocalApiClient(globals.socketPath).call(keyListCall));
    const keys = list.keys.filter(({ state }) => args.all === true || state === "live");
    if (globals.json) output.json({ keys });
    else printKeys(output, keys);
    return EXIT_DONE;
  },
});

/** One line for each: its id, how it stands, and what machines come in as. */
export function printKeys(output: Output, keys: readonly ListedKey[]): void {
  for (const line of formatTable(keys.map(row))) output.line(line);
}

function row(key: ListedKey): string[] {
  const { id, state, reusable, ephemeral, tags, user, createdBy, expiresAt, uses } = key;
  const end = expiresAt === null ? "no end" : `until ${expiresAt}`;
  const terms = [reusable ? "reusable" : "", ephemeral ? "ephemeral" : "", ...tags, user];
  const use = uses === 0 ? "" : `used ${uses}x`;
  return [
    id,
    state,
    end,
    createdBy === null ? "" : `by ${createdBy}`,
    use,
    terms.filter((word) => word !== "").join(" "),
  ];
}
