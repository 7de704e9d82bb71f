/** `minitail lock remove NAME` */

import { lockRemoveCall } from "../../daemon/calls/lock.ts";
import { LocalApiClient } from "../../daemon/local-api-client.ts";
import { declareCommand } from "../declare.ts";
import { EXIT_DONE } from "../exit-status.ts";
import { tellIfSlow } from "../waiting.ts";

export default declareCommand({
  name: "remove",
  description: "take from a signer what it may; its join keys end, machines that it admitted stay",
  examples: ["minitail lock remove laptop", "minitail lock remove laptop --with-machines"],
  args: {
    name: {
      type: "positional",
      required: true,
      valueHint: "NAME",
      description: "its name, address or id, or the beginning of its key",
    },
    "with-machines": { type: "boolean", description: "the machines that it admitted go as well" },
  },
  async run(args, { globals, log, output }) {
    const request = { name: args.name, withMachines: args["with-machines"] === true };
    const removing = new LocalApiClient(globals.socketPath).call(lockRemoveCall, request);
    const removed = await tellIfSlow(log, "the registry to take the statement", removing);
    if (globals.json) output.json(removed);
    else {
      output.line(`${removed.name} is no signer any more`);
      for (const name of removed.removedMachines) output.line(`${name} was removed`);
    }
    return EXIT_DONE;
  },
});
