/** `minitail down [--force]` */

import { isMinitailError, MinitailError } from "../../base/errors.ts";
import { downCall } from "../../daemon/calls/down.ts";
import { LocalApiClient } from "../../daemon/local-api-client.ts";
import { forceDown } from "../../daemon/start.ts";
import { declareCommand } from "../declare.ts";
import { EXIT_DONE } from "../exit-status.ts";
import { waitUntilStopped } from "../wait-until-stopped.ts";
import { tellIfSlow } from "../waiting.ts";

export default declareCommand({
  name: "down",
  description: "stop the daemon and take back what it changed on this machine",
  examples: ["minitail down"],
  args: { force: { type: "boolean", description: "also where no daemon runs: take back what a killed one left" } },
  async run(args, { globals, log }) {
    const client = new LocalApiClient(globals.socketPath);
    try {
      await tellIfSlow(log, "the daemon", client.call(downCall));
      await tellIfSlow(log, "the daemon to take back its changes", waitUntilStopped(client));
    } catch (error) {
      if (!args.force || !isMinitailError(error, "daemon-not-running")) throw withForceHint(error);
    }
    if (args.force) await forceDown(globals.stateDirectory, log);
    return EXIT_DONE;
  },
});

function withForceHint(error: unknown): unknown {
  if (!isMinitailError(error, "daemon-not-running")) return error;
  return new MinitailError("daemon-not-running", error.message, {
    hint: "minitail down --force takes back what a killed one left",
    cause: error,
  });
}
