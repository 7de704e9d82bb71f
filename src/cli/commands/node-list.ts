/** `minitail node list` */

import type { ListedNode } from "../../daemon/calls/node-list.ts";
import { nodeListCall } from "../../daemon/calls/node-list.ts";
import { LocalApiClient } from "../../daemon/local-api-client.ts";
import { declareCommand } from "../declare.ts";
import { EXIT_DONE } from "../exit-status.ts";
import { formatTable } from "../output.ts";
import { tellIfSlow } from "../waiting.ts";

export default declareCommand({
  name: "list",
  description: "the machines that belong to the network",
  examples: ["minitail node list", "minitail node list --json"],
  args: {},
  async run(_args, { globals, log, output }) {
    const list = await tellIfSlow(log, "the daemon", new LocalApiClient(globals.socketPath).call(nodeListCall));
    if (globals.json) output.json(list);
    else for (const line of formatTable(list.nodes.map(row))) output.line(line);
    return EXIT_DONE;
  },
});

function row(node: ListedNode): string[] {
  const terms = [node.user, ...node.tags, node.ephemeral ? "ephemeral" : ""].filter((word) => word !== "").join(" ");
  const role = { all: "signer", admit: "signer that admits", none: "" }[node.signer ?? "none"];
  return [node.addresses[0] ?? "", node.name, node.id, node.joinedAt.slice(0, 10), role, terms];
}
