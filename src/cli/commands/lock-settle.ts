/** `minitail lock settle [HASH]` */

import { lockSettleCall } from "../../daemon/calls/lock.ts";
import { LocalApiClient } from "../../daemon/local-api-client.ts";
import { declareCommand } from "../declare.ts";
import { EXIT_DONE } from "../exit-status.ts";
import { tellIfSlow } from "../waiting.ts";

export default declareCommand({
  name: "settle",
  description: "where the chain is forked, say which branch holds",
  examples: ["minitail lock settle", "minitail lock settle 4f2a90c1"],
  args: {
    hash: {
      type: "positional",
      required: false,
      valueHint: "HASH",
      description: "how the head of that branch begins, as lock status shows it (this machine's own branch)",
    },
  },
  async run(args, { globals, log, output }) {
    const request = args.hash === undefined ? {} : { hash: args.hash };
    const settling = new LocalApiClient(globals.socketPath).call(lockSettleCall, request);
    const { head, forsaken } = await tellIfSlow(log, "the registry to take the statement", settling);
    if (globals.json) output.json({ head, forsaken });
    else output.line(`the chain is the one with statement ${head.number} ${head.hash.slice(0, 16)}`);
    return EXIT_DONE;
  },
});
