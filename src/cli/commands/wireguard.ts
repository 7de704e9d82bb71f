/** `minitail wireguard [-f] IFACE`: a WireGuard interface and nothing else, in the place of `wireguard-go IFACE`. */

import { fstatSync } from "node:fs";
import { MinitailError } from "../../base/errors.ts";
import { OFFLOADS } from "../../daemon/options.ts";
import { startWireguard } from "../../daemon/start.ts";
import type { CommandContext } from "../context.ts";
import { DATA_PLANE_CHOICES, dataPlaneChoice, offloadChoice } from "../data-plane-flag.ts";
import { declareCommand } from "../declare.ts";
import type { LogDetail } from "../log.ts";
import { runProgram } from "../run-program.ts";

/** wireguard-go's words for `LOG_LEVEL`. */
const LOG_LEVELS: Readonly<Record<string, LogDetail>> = {
  verbose: "debug",
  debug: "debug",
  error: "error",
  silent: "silent",
};

const TUN_VARIABLE = "WG_TUN_FD";
const UAPI_VARIABLE = "WG_UAPI_FD";

export default declareCommand({
  name: "wireguard",
  description: "a WireGuard interface for wg and wg-quick, like wireguard-go",
  examples: ["minitail wireguard wg0", "WG_QUICK_USERSPACE_IMPLEMENTATION=minitail-wireguard wg-quick up wg0"],
  // wg-quick passes no flags on.
  flagsFromEnvironment: true,
  args: {
    iface: { type: "positional", required: true, valueHint: "IFACE", description: "the interface to make" },
    dataplane: {
      type: "enum",
      options: [...DATA_PLANE_CHOICES],
      description: "auto, plain (packets one at a time) or fast (in batches)",
    },
    offloads: {
      type: "string",
      valueHint: "OFFLOAD,..",
      description: "what the fast way may leave to the kernel: all, none or a list",
    },
    foreground: { type: "boolean", alias: "f", description: "stay in the foreground (WG_PROCESS_FOREGROUND=1)" },
  },
  async run(args, context) {
    const { environment, globals } = context;
    const tunFd = descriptorOf(TUN_VARIABLE, context);
    const uapiFd = descriptorOf(UAPI_VARIABLE, context);
    const level = LOG_LEVELS[environment["LOG_LEVEL"] ?? ""];
    const options = {
      detach: args.foreground !== true && environment["WG_PROCESS_FOREGROUND"] !== "1",
      detachedLog: level === undefined || level === "silent" ? ("nowhere" as const) : ("stderr" as const),
      logDetail: globals.verbose ? "debug" : (level ?? "error"),
      inherited: {
        ...(tunFd === undefined ? {} : { [TUN_VARIABLE]: tunFd }),
        ...(uapiFd === undefined ? {} : { [UAPI_VARIABLE]: uapiFd }),
      },
    };
    const dataPlane = dataPlaneChoice(args.dataplane) ?? "auto";
    const offloads = offloadChoice(args.offloads) ?? OFFLOADS;
    return runProgram(context, options, (io) =>
      startWireguard({ interfaceName: args.iface, tunFd, uapiFd, dataPlane, offloads }, io),
    );
  },
});

function descriptorOf(variable: string, { environment }: CommandContext): number | undefined {
  const text = environment[variable];
  if (text === undefined || text === "") return undefined;
  if (/^\d{1,7}$/.test(text) && isOpen(Number(text))) return Number(text);
  throw new MinitailError("usage", `${variable} is the number of an open descriptor`);
}

function isOpen(fd: number): boolean {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
}
