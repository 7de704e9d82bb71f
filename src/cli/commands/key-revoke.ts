/** `minitail key revoke ID` */

import { revokeKeyCall } from "../../daemon/calls/revoke-key.ts";
import { LocalApiClient } from "../../daemon/local-api-client.ts";
import { declareCommand } from "../declare.ts";
import { EXIT_DONE } from "../exit-status.ts";
import { tellIfSlow } from "../waiting.ts";

export default declareCommand({
  name: "revoke",
  description: "cancel a join key: nobody comes in by it any more; machines that did stay",
  examples: ["minitail key revoke kx7f2m4qa5wtz6ehb"],
  args: { id: { type: "positional", required: true, valueHint: "ID", description: "as minitail key list shows it" } },
  async run(args, { globals, log, output }) {
    const revoking = new LocalApiClient(globals.socketPath).call(revokeKeyCall, { id: args.id });
    const key = await tellIfSlow(log, "the registry to take it", revoking);
    if (globals.json) output.json(key);
    else output.line(`${key.id} admits nobody any more${key.uses === 0 ? "" : `; ${key.uses} came in by it and stay`}`);
    return EXIT_DONE;
  },
});
