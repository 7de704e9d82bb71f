/** The flags that every command takes, before or after its name. */

import type { ArgsDef } from "citty";

export const globalFlags = {
  json: { type: "boolean", description: "print JSON: one object, or one a line" },
  "state-dir": { type: "string", valueHint: "DIR", description: "where this machine's state is (/var/lib/minitail)" },
  socket: {
    type: "string",
    valueHint: "PATH",
    description: "the daemon's socket (/run/minitail/minitail.sock)",
  },
  verbose: { type: "boolean", description: "log what happens" },
  help: { type: "boolean", alias: "h", description: "explain the command" },
} as const satisfies ArgsDef;

const DEFAULT_STATE_DIRECTORY = "/var/lib/minitail";
const DEFAULT_SOCKET = "/run/minitail/minitail.sock";

/** The values of the global flags. Paths are absolute. */
export interface GlobalOptions {
  readonly json: boolean;
  readonly stateDirectory: string;
  readonly socketPath: string;
  readonly verbose: boolean;
}

/** From the flags given; `environment` has systemd's `STATE_DIRECTORY`, of which the first is ours. */
export function globalOptions(
  values: ReadonlyMap<string, string | boolean>,
  environment: Readonly<Record<string, string | undefined>>,
  absolutePath: (path: string) => string,
): GlobalOptions {
  const text = (name: string) => values.get(name) as string | undefined;
  const serviceDirectory = environment["STATE_DIRECTORY"]?.split(":")[0] || undefined;
  return {
    json: values.get("json") === true,
    stateDirectory: absolutePath(text("state-dir") ?? serviceDirectory ?? DEFAULT_STATE_DIRECTORY),
    socketPath: absolutePath(text("socket") ?? DEFAULT_SOCKET),
    verbose: values.get("verbose") === true,
  };
}
