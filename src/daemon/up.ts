/** `minitail up`: the daemon from its start until Ctrl-C, `down`, or the end of its interface. */

import { errorMessage, MinitailError } from "../base/errors.ts";
import { formatAddress } from "../base/ip.ts";
import type { ShownApproval } from "./approval-intent.ts";
import { Daemon, isGivenUp } from "./daemon.ts";
import type { ProgramIo, UpOptions } from "./options.ts";

/** How long the join line of a new tailnet's first `up` is good for. */
const JOIN_LINE_LIVES_MS = 3_600_000;

/** Runs until it is told to end. Answers the exit status; throws what kept it from starting or running on. */
export async function runUp(options: UpOptions, io: ProgramIo): Promise<number> {
  const daemon = await startInTime(options, io);
  if (!daemon) return 0;
  try {
    await greet(daemon, io);
    io.ready();
    const stopped = Promise.withResolvers<undefined>();
    io.stop.addEventListener("abort", () => stopped.resolve(undefined));
    if (io.stop.aborted) stopped.resolve(undefined);
    const failure = await Promise.race([daemon.ended, stopped.promise]);
    if (failure) throw failure;
    return 0;
  } finally {
    await daemon.stop();
  }
}

/** The daemon, running; `undefined` where it was told to stop while it waited for the registry. */
async function startInTime(options: UpOptions, io: ProgramIo): Promise<Daemon | undefined> {
  const limit = options.timeoutMs === undefined ? undefined : AbortSignal.timeout(options.timeoutMs);
  const signal = limit ? AbortSignal.any([io.stop, limit]) : io.stop;
  let waitingFor = "waiting for the registry";
  try {
    const onWaiting = (message: string) => {
      waitingFor = message;
      io.log.info(message);
    };
    const onApproval = (shown: ShownApproval) => {
      waitingFor = "waiting to be let in";
      for (const line of approvalLines(shown)) io.print(line);
    };
    return await Daemon.start({ options, log: io.log, signal, onWaiting, onApproval });
  } catch (error) {
    if (!isGivenUp(error)) throw error;
    if (io.stop.aborted) return undefined;
    if (!limit?.aborted) throw error;
    throw new MinitailError("timeout", `gave up after the time that --timeout allows: ${waitingFor}`, { cause: error });
  }
}

function approvalLines({ code, nodeId }: ShownApproval): string[] {
  return [
    "to let this machine in, run on a member within ten minutes:",
    "",
    `    minitail node approve ${code}`,
    "",
    `it shows this machine's id, which is ${nodeId}`,
  ];
}

/** Says who this machine is, and on the first one how others come in. */
async function greet(daemon: Daemon, io: ProgramIo): Promise<void> {
  const { self } = daemon;
  if (!self) return;
  io.print(`this machine is ${self.name}, ${self.addresses.map(formatAddress).join(", ")}`);
  if (!daemon.servesRegistry) return;
  if (!io.isTerminal) {
    io.print("to add another machine, run here: minitail key create");
    return;
  }
  try {
    const { key } = await daemon.running().createKey({
      reusable: true,
      ephemeral: false,
      expiresInMs: JOIN_LINE_LIVES_MS,
      tags: [],
      user: "",
    });
    io.print(`to add another machine within the hour, run there:\n\n    minitail up --join ${key}\n`);
  } catch (error) {
    io.log.warn(`no join key could be made: ${errorMessage(error)}`);
  }
}
