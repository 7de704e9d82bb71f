/** `minitail node free-name NAME` */

import { freeNameCall } from "../../daemon/calls/node-free-name.ts";
import { LocalApiClient } from "../../daemon/local-api-client.ts";
import { declareCommand } from "../declare.ts";
import { EXIT_DONE } from "../exit-status.ts";
import { tellIfSlow } from "../waiting.ts";

export default declareCommand({
  name: "free-name",
  description: "let others take a name that was a removed or renamed machine's",
  examples: ["minitail node free-name old-laptop"],
  args: {
    name: { type: "positional", required: true, valueHint: "NAME", description: "a name that no machine bears" },
  },
  async run(args, { globals, log, output }) {
    const freeing = new LocalApiClient(globals.socketPath).call(freeNameCall, { name: args.name });
    const freed = await tellIfSlow(log, "the registry to take the statement", freeing);
    if (globals.json) output.json(freed);
    else output.line(`the name ${freed.name} is free`);
    return EXIT_DONE;
  },
});
