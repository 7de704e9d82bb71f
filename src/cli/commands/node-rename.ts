/** `minitail node rename OLD NEW` */

import { renameNodeCall } from "../../daemon/calls/node-rename.ts";
import { LocalApiClient } from "../../daemon/local-api-client.ts";
import { declareCommand } from "../declare.ts";
import { EXIT_DONE } from "../exit-status.ts";
import { tellIfSlow } from "../waiting.ts";

export default declareCommand({
  name: "rename",
  description: "give this machine another name",
  examples: ["minitail node rename laptop red-laptop"],
  args: {
    old: { type: "positional", required: true, valueHint: "OLD", description: "this machine's name, address or id" },
    new: { type: "positional", required: true, valueHint: "NEW", description: "its name from now on" },
  },
  async run(args, { globals, log, output }) {
    const renaming = new LocalApiClient(globals.socketPath).call(renameNodeCall, { node: args.old, name: args.new });
    const renamed = await tellIfSlow(log, "the registry to take the statement", renaming);
    if (globals.json) output.json(renamed);
    else output.line(`${args.old} is called ${renamed.name} now`);
    return EXIT_DONE;
  },
});
