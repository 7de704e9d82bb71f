/** What a command is given besides its arguments. */

import type { Log } from "../base/log.ts";
import type { DetachedCopy } from "./detach.ts";
import type { GlobalOptions } from "./global-flags.ts";
import type { Output } from "./output.ts";

export interface CommandContext {
  readonly globals: GlobalOptions;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly output: Output;
  readonly log: Log;
  /** Who waits for this process to be ready, where it was started in the background. */
  readonly detached: DetachedCopy | undefined;
  /** The arguments as they came, secrets and all: to hand over to a detached copy of this process. */
  readonly rawArguments: readonly string[];
}
