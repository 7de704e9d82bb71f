/** `minitail node renew NAME` */

import { parseDurationMs } from "../../base/duration.ts";
import { setExpiryCall } from "../../daemon/calls/set-expiry.ts";
import { LocalApiClient } from "../../daemon/local-api-client.ts";
import { declareCommand } from "../declare.ts";
import { EXIT_DONE } from "../exit-status.ts";
import { tellIfSlow } from "../waiting.ts";

export default declareCommand({
  name: "renew",
  description: "let a machine stay, also one whose membership has ended",
  examples: ["minitail node renew laptop", "minitail node renew laptop --for 180d"],
  args: {
    node: { type: "positional", required: true, valueHint: "NODE", description: "a name, an address or a node id" },
    for: { type: "string", valueHint: "DURATION", description: "how long, from now (without an end)" },
  },
  async run(args, { globals, log, output }) {
    const endsInMs = args.for === undefined ? null : (parseDurationMs(args.for) ?? 0);
    const renewing = new LocalApiClient(globals.socketPath).call(setExpiryCall, { node: args.node, endsInMs });
    const reply = await tellIfSlow(log, "the registry to take it", renewing);
    if (globals.json) output.json(reply);
    else if (reply.keyExpiresAt === null) output.line(`${reply.name} stays`);
    else output.line(`${reply.name} stays until ${reply.keyExpiresAt}`);
    return EXIT_DONE;
  },
});
