/** `minitail status` */

import { isMinitailError } from "../../base/errors.ts";
import type { Status } from "../../daemon/api.ts";
import { statusCall } from "../../daemon/calls/status.ts";
import { LocalApiClient } from "../../daemon/local-api-client.ts";
import { declareCommand } from "../declare.ts";
import { EXIT_DONE, EXIT_FAILED } from "../exit-status.ts";
import { formatStatus } from "../status-text.ts";
import { tellIfSlow } from "../waiting.ts";

export default declareCommand({
  name: "status",
  description: "this machine, its peers, and how they are reached",
  examples: ["minitail status", "minitail status --json"],
  args: {
    active: { type: "boolean", description: "only peers that there is a path to" },
    peers: { type: "boolean", default: true, description: "leave the peers out" },
  },
  async run(args, { globals, log, output }) {
    const status = await tellIfSlow(log, "the daemon", new LocalApiClient(globals.socketPath).call(statusCall)).catch(
      (error: unknown) => {
        if (globals.json && isMinitailError(error, "daemon-not-running")) output.json({ state: "stopped" });
        throw error;
      },
    );
    const shown: Status = { ...status, peers: args.peers === false ? [] : activeOf(status, args.active === true) };
    if (globals.json) output.json(shown);
    else for (const line of formatStatus(shown, Date.now(), output.colour)) output.line(line);
    return status.state === "running" ? EXIT_DONE : EXIT_FAILED;
  },
});

function activeOf(status: Status, onlyActive: boolean): Status["peers"] {
  return onlyActive ? status.peers.filter((peer) => peer.path.kind !== "none") : status.peers;
}
