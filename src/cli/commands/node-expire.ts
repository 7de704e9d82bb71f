/** `minitail node expire NAME` */

import { parseDurationMs } from "../../base/duration.ts";
import { setExpiryCall } from "../../daemon/calls/set-expiry.ts";
import { LocalApiClient } from "../../daemon/local-api-client.ts";
import { declareCommand } from "../declare.ts";
import { EXIT_DONE } from "../exit-status.ts";
import { tellIfSlow } from "../waiting.ts";

export default declareCommand({
  name: "expire",
  description: "end a machine's membership now, or after a time; node renew gives it back",
  examples: ["minitail node expire laptop", "minitail node expire laptop --after 30d"],
  args: {
    node: { type: "positional", required: true, valueHint: "NODE", description: "a name, an address or a node id" },
    after: { type: "string", valueHint: "DURATION", description: "when it ends, from now (at once)" },
  },
  async run(args, { globals, log, output }) {
    const endsInMs = args.after === undefined ? 0 : (parseDurationMs(args.after) ?? 0);
    const expiring = new LocalApiClient(globals.socketPath).call(setExpiryCall, { node: args.node, endsInMs });
    const reply = await tellIfSlow(log, "the registry to take it", expiring);
    if (globals.json) output.json(reply);
    else output.line(`the membership of ${reply.name} ends at ${reply.keyExpiresAt}`);
    return EXIT_DONE;
  },
});
