/** `minitail registry backup FILE` */

import { resolve } from "node:path";
import { backUpRegistryCall } from "../../daemon/calls/registry-backup.ts";
import { LocalApiClient } from "../../daemon/local-api-client.ts";
import { declareCommand } from "../declare.ts";
import { EXIT_DONE } from "../exit-status.ts";
import { tellIfSlow } from "../waiting.ts";

export default declareCommand({
  name: "backup",
  description: "copy the data of the registry that this machine serves, while it serves",
  examples: ["minitail registry backup /var/backups/registry.sqlite"],
  args: {
    file: { type: "positional", required: true, valueHint: "FILE", description: "an older backup is replaced" },
    force: { type: "boolean", description: "replace a file that is something else" },
  },
  async run(args, { globals, log, output }) {
    const request = { file: resolve(args.file), force: args.force === true };
    const copying = new LocalApiClient(globals.socketPath).call(backUpRegistryCall, request);
    const backup = await tellIfSlow(log, "the copy to be on the disk", copying);
    if (globals.json) output.json(backup);
    else output.line(`${backup.file}: ${backup.sizeBytes} bytes`);
    return EXIT_DONE;
  },
});
