/** `minitail lock add NAME` */

import { lockAddCall } from "../../daemon/calls/lock.ts";
import { LocalApiClient } from "../../daemon/local-api-client.ts";
import { declareCommand } from "../declare.ts";
import { EXIT_DONE } from "../exit-status.ts";
import { tellIfSlow } from "../waiting.ts";

export default declareCommand({
  name: "add",
  description: "make a machine a signer: it may admit and remove machines, and signers",
  examples: ["minitail lock add laptop", "minitail lock add --only-admits doorkeeper"],
  args: {
    name: { type: "positional", required: true, valueHint: "NAME", description: "a machine's name, address or id" },
    "only-admits": { type: "boolean", description: "it may let machines in, and nothing else" },
  },
  async run(args, { globals, log, output }) {
    const request = { name: args.name, onlyAdmits: args["only-admits"] === true };
    const adding = new LocalApiClient(globals.socketPath).call(lockAddCall, request);
    const added = await tellIfSlow(log, "the registry to take the statement", adding);
    if (globals.json) output.json(added);
    else output.line(`${added.name} ${added.isNew ? "is a signer now" : "was a signer before"}`);
    return EXIT_DONE;
  },
});
