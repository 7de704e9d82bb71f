/** `minitail node rotate-key` */

import { rotateNodeKeyCall } from "../../daemon/calls/rotate-node-key.ts";
import { LocalApiClient } from "../../daemon/local-api-client.ts";
import { declareCommand } from "../declare.ts";
import { EXIT_DONE } from "../exit-status.ts";
import { tellIfSlow } from "../waiting.ts";

export default declareCommand({
  name: "rotate-key",
  description: "give this machine a new WireGuard key now; it gets one by itself every 30 days",
  examples: ["minitail node rotate-key"],
  args: {},
  async run(_args, { globals, log, output }) {
    const rotating = new LocalApiClient(globals.socketPath).call(rotateNodeKeyCall);
    const rotated = await tellIfSlow(log, "the registry to take the new key", rotating);
    if (globals.json) output.json(rotated);
    else output.line(`this machine's WireGuard key is ${rotated.nodeKey}`);
    return EXIT_DONE;
  },
});
