/** `minitail key create` */

import { parseDurationMs } from "../../base/duration.ts";
import { createJoinKeyCall } from "../../daemon/calls/create-join-key.ts";
import { LocalApiClient } from "../../daemon/local-api-client.ts";
import { declareCommand } from "../declare.ts";
import { EXIT_DONE } from "../exit-status.ts";
import { tellIfSlow } from "../waiting.ts";

export default declareCommand({
  name: "create",
  description: "make a key with which another machine joins: minitail up --join KEY",
  examples: ["minitail key create", "minitail key create --reusable --expires 1h --tags tag:server"],
  args: {
    reusable: { type: "boolean", description: "for any number of machines, until it expires" },
    ephemeral: { type: "boolean", description: "machines that join by it are removed when they are gone" },
    expires: { type: "string", valueHint: "DURATION", default: "24h", description: "how long it is good for (24h)" },
    tags: { type: "string", valueHint: "TAG,..", description: "tags of the machines that join by it" },
    user: { type: "string", valueHint: "USER", description: "whose machines they are" },
  },
  async run(args, { globals, log, output }) {
    const creating = new LocalApiClient(globals.socketPath).call(createJoinKeyCall, {
      reusable: args.reusable === true,
      ephemeral: args.ephemeral === true,
      expiresInMs: parseDurationMs(args.expires) ?? 0,
      tags: args.tags?.split(",") ?? [],
      user: args.user ?? "",
    });
    const created = await tellIfSlow(log, "the registry to take the key", creating);
    if (globals.json) output.json(created);
    else output.line(created.key);
    return EXIT_DONE;
  },
});
