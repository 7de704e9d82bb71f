/** `minitail logout` */

import { isMinitailError, MinitailError } from "../../base/errors.ts";
import { logoutCall } from "../../daemon/calls/logout.ts";
import { LocalApiClient } from "../../daemon/local-api-client.ts";
import { forceDown, forgetState } from "../../daemon/start.ts";
import { declareCommand } from "../declare.ts";
import { EXIT_DONE } from "../exit-status.ts";
import { waitUntilStopped } from "../wait-until-stopped.ts";
import { tellIfSlow } from "../waiting.ts";

export default declareCommand({
  name: "logout",
  description: "leave the network and stop: this machine's record and keys are gone",
  examples: ["minitail logout"],
  args: {
    force: {
      type: "boolean",
      description: "whatever the others lose by it, told or not",
    },
  },
  async run(args, { globals, log }) {
    const client = new LocalApiClient(globals.socketPath);
    const force = args.force === true;
    try {
      await tellIfSlow(log, "the registry to take it", client.call(logoutCall, { force }));
      await tellIfSlow(log, "the daemon to take back its changes", waitUntilStopped(client));
    } catch (error) {
      if (!isMinitailError(error, "daemon-not-running")) throw error;
      if (!force) throw withStartHint(error);
      await forceDown(globals.stateDirectory, log);
      await forgetState(globals.stateDirectory);
    }
    return EXIT_DONE;
  },
});

function withStartHint(error: MinitailError): MinitailError {
  return new MinitailError("daemon-not-running", error.message, {
    hint: "start it with minitail up, so that it tells the others, or give --force: they are to remove this machine then",
    cause: error,
  });
}
