/** `minitail registry move URL` */

import { moveRegistryCall } from "../../daemon/calls/registry-move.ts";
import { LocalApiClient } from "../../daemon/local-api-client.ts";
import { declareCommand } from "../declare.ts";
import { EXIT_DONE } from "../exit-status.ts";
import { readSecret } from "../secret-flags.ts";
import { upstashRegistry } from "../upstash-environment.ts";
import { tellIfSlow } from "../waiting.ts";

export default declareCommand({
  name: "move",
  description: "the network's registry is elsewhere from now on; every machine follows it there",
  examples: [
    "minitail registry move https://192.0.2.9:7411/#pin=... --token file:token.txt",
    "minitail registry move redis://192.0.2.9",
  ],
  args: {
    url: { type: "positional", required: true, valueHint: "URL", description: "https://, redis:// or rediss://" },
    token: { type: "string", valueHint: "TOKEN", description: "what the new registry asks for" },
  },
  async run(args, { globals, environment, log, output }) {
    const given =
      args.token === undefined ? undefined : readSecret("token", args.token, (message) => log.warn(message));
    const flags = { registryUrl: args.url, token: given, secret: undefined };
    const { token } = upstashRegistry(flags, environment);
    const request = { url: args.url, token: token ?? null };
    const moving = new LocalApiClient(globals.socketPath).call(moveRegistryCall, request);
    const moved = await tellIfSlow(log, "the old registry to be told, and the new one to be filled", moving);
    if (globals.json) {
      output.json(moved);
    } else {
      output.line(`the registry is at ${moved.url} now, and holds ${moved.chainLength} statements`);
      if (!moved.oldOneTold) {
        output.line("the old one could not be told: machines follow when they meet a member that knows,");
        output.line("or with minitail up --registry URL");
      }
    }
    return EXIT_DONE;
  },
});
