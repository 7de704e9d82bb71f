/** Commands on keys of any type, and on the server. */

import { type CommandDefinitions, reads, unlimited, writes } from "./command.ts";

export const KEY_COMMANDS: CommandDefinitions = {
  ping: reads(0, 1, "none", (_context, [message]) => message ?? "PONG"),
  del: writes(1, unlimited, "all", ({ keyspace }, keys) => keys.filter((key) => keyspace.remove(key)).length),
  publish: writes(2, 2, "none", (context, [channel, message]) => context.publish(channel!, message!)),
};
