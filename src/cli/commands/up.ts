/** `minitail up`: the daemon. */

import { join } from "node:path";
import { parseDurationMs } from "../../base/duration.ts";
import type { UpOptions } from "../../daemon/options.ts";
import { requireOwnState, startDaemon } from "../../daemon/start.ts";
import type { CommandContext } from "../context.ts";
import { DATA_PLANE_CHOICES, dataPlaneChoice, offloadChoice } from "../data-plane-flag.ts";
import { declareCommand } from "../declare.ts";
import { runProgram } from "../run-program.ts";
import { readSecret } from "../secret-flags.ts";
import { upstashRegistry } from "../upstash-environment.ts";

/** Beside the state of the daemon whose log it is. */
const LOG_FILE = "minitail.log";

export default declareCommand({
  name: "up",
  description: "make or join a network, and carry its packets",
  examples: [
    "minitail up",
    "minitail up --join file:key.txt",
    "minitail up --registry https://192.0.2.7:7411/#pin=... --secret file:secret.txt",
  ],
  flagsFromEnvironment: true,
  args: {
    join: { type: "string", valueHint: "KEY", description: "join with this key, as minitail key create prints it" },
    secret: { type: "string", valueHint: "SECRET", description: "a network of all who know the secret" },
    registry: { type: "string", valueHint: "URL", description: "the registry: https://, redis:// or rediss://" },
    token: { type: "string", valueHint: "TOKEN", description: "what the registry asks for" },
    name: { type: "string", valueHint: "NAME", description: "this machine's name (its host name)" },
    pool: { type: "string", valueHint: "CIDR", description: "addresses of a new network (100.64.0.0/10)" },
    tun: { type: "string", valueHint: "NAME", description: "the interface (minitail0)" },
    port: { type: "string", valueHint: "PORT", description: "UDP port for packets (7411)" },
    mtu: { type: "string", valueHint: "MTU", description: "the interface's largest packet, in bytes (1280)" },
    listen: {
      type: "string",
      valueHint: "ADDR:PORT,..",
      description: "where a registry that is served here listens (:7411)",
    },
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
    timeout: { type: "string", valueHint: "DURATION", description: "give up when it is not up by then" },
    detach: { type: "boolean", alias: "d", description: "return when it is up, and go on in the background" },
  },
  async run(args, context) {
    const options = upOptions(args, context);
    const detachedLog = { file: join(options.stateDirectory, LOG_FILE) };
    if (args.detach === true) await requireOwnState(options.stateDirectory);
    const logDetail = context.globals.verbose ? "debug" : "normal";
    return runProgram(context, { detach: args.detach === true, detachedLog, logDetail }, (io) =>
      startDaemon(options, io),
    );
  },
});

interface UpArguments {
  readonly join?: string | undefined;
  readonly secret?: string | undefined;
  readonly registry?: string | undefined;
  readonly token?: string | undefined;
  readonly name?: string | undefined;
  readonly pool?: string | undefined;
  readonly tun?: string | undefined;
  readonly port?: string | undefined;
  readonly mtu?: string | undefined;
  readonly listen?: string | undefined;
  readonly timeout?: string | undefined;
  readonly dataplane?: string | undefined;
  readonly offloads?: string | undefined;
}

function upOptions(args: UpArguments, context: CommandContext): UpOptions {
  const secret = (name: "join" | "secret" | "token") => {
    const value = args[name];
    return value === undefined ? undefined : readSecret(name, value, (message) => context.log.warn(message));
  };
  const given = { secret: secret("secret"), registryUrl: args.registry, token: secret("token") };
  const { registryUrl, token } = upstashRegistry(given, context.environment);
  return {
    stateDirectory: context.globals.stateDirectory,
    socketPath: context.globals.socketPath,
    name: args.name,
    pool: args.pool,
    interfaceName: args.tun,
    port: numberOf(args.port),
    mtuBytes: numberOf(args.mtu),
    listen: args.listen?.split(","),
    registryUrl,
    token,
    secret: given.secret,
    joinKey: secret("join"),
    dataPlane: dataPlaneChoice(args.dataplane),
    offloads: offloadChoice(args.offloads),
    timeoutMs: args.timeout === undefined ? undefined : parseDurationMs(args.timeout),
  };
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}
