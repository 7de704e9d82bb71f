/** `minitail node remove NAME` */

import { type RemoveNodeReply, removeNodeCall } from "../../daemon/calls/remove-node.ts";
import { LocalApiClient } from "../../daemon/local-api-client.ts";
import type { CommandContext } from "../context.ts";
import { declareCommand } from "../declare.ts";
import { EXIT_DONE } from "../exit-status.ts";
import { tellIfSlow } from "../waiting.ts";
import { printKeys } from "./key-list.ts";

export default declareCommand({
  name: "remove",
  description: "cut a machine off: all others drop it, and it reads nothing written from then on",
  examples: ["minitail node remove laptop", "minitail node remove laptop --with-machines"],
  args: {
    node: { type: "positional", required: true, valueHint: "NODE", description: "a name, an address or a node id" },
    "with-machines": { type: "boolean", description: "also the machines that it admitted" },
  },
  async run(args, context) {
    const { globals, log, output } = context;
    const request = { node: args.node, withMachines: args["with-machines"] === true };
    const removing = new LocalApiClient(globals.socketPath).call(removeNodeCall, request);
    const reply = await tellIfSlow(log, "the registry to take it", removing);
    if (globals.json) output.json(reply);
    else printReply(reply, context);
    return EXIT_DONE;
  },
});

function printReply(reply: RemoveNodeReply, { output, log }: CommandContext): void {
  for (const { name, id } of reply.removed) output.line(`removed ${name} (${id})`);
  if (reply.joinKeysLeft.length > 0) {
    output.line("machines can still come in by these keys (minitail key revoke ID):");
    printKeys(output, reply.joinKeysLeft);
  }
  if (reply.changeTokenByHand) {
    log.warn(
      "it still knows the registry's token: change that where the registry is, then tell the members with up --token",
    );
  }
  if (reply.servesRegistry) {
    log.warn("it serves the registry, and can stop that at any time: minitail registry move URL");
  }
  if (reply.secretStillAdmits) {
    log.warn("whoever knows the shared secret comes back with it; minitail secret retire parts for good");
  }
}
