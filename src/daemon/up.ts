/** `minitail up`: the daemon from its start until Ctrl-C, `down`, or the end of its interface. */

import { errorMessage, MinitailError } from "../base/errors.ts";
import { formatAddress, formatPrefix, maskPrefix, parsePrefix } from "../base/ip.ts";
import type { Log } from "../base/log.ts";
import type { Netmap, NetmapNode } from "../netmap/netmap.ts";
import { normalizeName } from "../trust/name.ts";
import type { ShownApproval } from "./approval-intent.ts";
import { Daemon, isGivenUp } from "./daemon.ts";
import type { ProgramIo, UpOptions } from "./options.ts";
import { formatTime } from "./status.ts";

/** How long the join line of a new tailnet's first `up` is good for. */
const JOIN_LINE_LIVES_MS = 3_600_000;

/** Runs until it is told to end. Answers the exit status; throws what kept it from starting or running on. */
export async function runUp(options: UpOptions, io: ProgramIo): Promise<number> {
  const daemon = await startInTime(options, io);
  if (!daemon) return 0;
  try {
    tellIgnored(daemon.running().netmap, options, io.log);
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
      printApproval(shown, io);
    };
    return await Daemon.start({ options, log: io.log, signal, onWaiting, onApproval });
  } catch (error) {
    if (!isGivenUp(error)) throw error;
    if (io.stop.aborted) return undefined;
    if (!limit?.aborted) throw error;
    throw new MinitailError("timeout", `gave up after the time that --timeout allows: ${waitingFor}`, { cause: error });
  }
}

function printApproval({ code, nodeId, expiresAtMs }: ShownApproval, io: ProgramIo): void {
  const lines = [
    "to let this machine in, run on a member within ten minutes:",
    "",
    `    minitail node approve ${code}`,
    "",
    `it shows this machine's id, which is ${nodeId}`,
  ];
  io.print(lines.join("\n"), { approval: { code, nodeId, expiresAt: formatTime(expiresAtMs) } });
}

/** A name and a pool are chosen when a machine or a network is new: says so to who gives others afterwards. */
export function tellIgnored(
  network: { readonly self: Pick<NetmapNode, "name">; readonly pool: Netmap["pool"] },
  { name, pool }: Pick<UpOptions, "name" | "pool">,
  log: Log,
): void {
  const wanted = name === undefined ? undefined : normalizeName(name);
  const { name: known } = network.self;
  if (wanted !== undefined && wanted !== known) {
    log.warn(`this machine is called ${known}, not ${wanted}; minitail node rename ${known} ${wanted} changes that`);
  }
  const prefix = pool === undefined ? undefined : parsePrefix(pool);
  const given = prefix && formatPrefix(maskPrefix(prefix));
  const addresses = network.pool.map(formatPrefix);
  if (given !== undefined && !addresses.includes(given)) {
    log.warn(`the network's addresses are ${addresses.join(", ")}: --pool is for a new network`);
  }
}

/** Says who this machine is, and on the first one how others come in. */
async function greet(daemon: Daemon, io: ProgramIo): Promise<void> {
  const { self } = daemon;
  if (!self) return;
  const addresses = self.addresses.map(formatAddress);
  io.print(`this machine is ${self.name}, ${addresses.join(", ")}`, {
    self: { id: self.id, name: self.name, addresses },
  });
  if (!daemon.servesRegistry) return;
  if (!io.isTerminal) {
    io.print("to add another machine, run here: minitail key create");
    return;
  }
  try {
    const { id, key, expiresAt } = await daemon.running().createKey({
      reusable: true,
      ephemeral: false,
      expiresInMs: JOIN_LINE_LIVES_MS,
      tags: [],
      user: "",
    });
    const text = `to add another machine within the hour, run there:\n\n    minitail up --join ${key}\n`;
    io.print(text, { joinKey: { id, key, expiresAt } });
  } catch (error) {
    io.log.warn(`no join key could be made: ${errorMessage(error)}`);
  }
}
