/** `minitail ping PEER`: an echo through the tunnel, and the path that it took. */

import { parseDurationMs } from "../../base/duration.ts";
import type { PathStatus } from "../../daemon/api.ts";
import { PING_SIZES, type PingReply, pingCall } from "../../daemon/calls/ping.ts";
import { LocalApiClient } from "../../daemon/local-api-client.ts";
import { declareCommand } from "../declare.ts";
import { EXIT_DONE, EXIT_FAILED } from "../exit-status.ts";
import { writeErrorLine } from "../output.ts";
import { tellIfSlow } from "../waiting.ts";

const COUNT_UNTIL_DIRECT = 10;
const INTERVAL_MS = 1_000;
const DEFAULT_TIMEOUT = "5s";

/** As ping(8). */
const DEFAULT_SIZE_BYTES = "56";

export default declareCommand({
  name: "ping",
  description: "ask a peer for a sign of life, and show the path",
  examples: ["minitail ping laptop", "minitail ping --until-direct 10.11.12.2"],
  args: {
    peer: { type: "positional", required: true, valueHint: "PEER", description: "a name, an address or a node id" },
    count: {
      type: "string",
      alias: "c",
      valueHint: "COUNT",
      description: "how many to send (1; 10 with --until-direct)",
    },
    "until-direct": { type: "boolean", description: "stop at the first reply that came without a relay" },
    size: {
      type: "string",
      valueHint: "SIZE",
      default: DEFAULT_SIZE_BYTES,
      description: `bytes to send (56): ${PING_SIZES}`,
    },
    timeout: { type: "string", valueHint: "DURATION", default: DEFAULT_TIMEOUT, description: "how long to wait (5s)" },
  },
  async run(args, { globals, log, output }) {
    const untilDirect = args["until-direct"] === true;
    const count = args.count === undefined ? (untilDirect ? COUNT_UNTIL_DIRECT : 1) : Number(args.count);
    const request = { peer: args.peer, sizeBytes: Number(args.size), timeoutMs: parseDurationMs(args.timeout) ?? 0 };
    const client = new LocalApiClient(globals.socketPath);
    let isDone = false;
    for (let sent = 1; sent <= count; sent++) {
      const startMs = performance.now();
      const reply = await tellIfSlow(log, `a reply from ${args.peer}`, client.call(pingCall, request));
      if (globals.json) output.json(reply);
      else if (reply.latencyMs !== null) output.line(formatPong(reply, reply.latencyMs));
      else writeErrorLine(`no reply from ${formatPeer(reply)} within ${args.timeout}`);
      if (reply.latencyMs !== null && (!untilDirect || reply.path.kind === "direct")) isDone = true;
      if (sent === count || (untilDirect && isDone) || output.isClosed) break;
      await Bun.sleep(Math.max(0, INTERVAL_MS - (performance.now() - startMs)));
    }
    return isDone ? EXIT_DONE : EXIT_FAILED;
  },
});

/** `pong from b (10.11.12.2) via 192.0.2.7:7411 in 1.2 ms` */
export function formatPong(reply: PingReply, latencyMs: number): string {
  return `pong from ${formatPeer(reply)} via ${formatVia(reply.path)} in ${formatLatency(latencyMs)}`;
}

function formatPeer({ peer }: PingReply): string {
  return `${peer.name} (${peer.address})`;
}

function formatVia(path: PathStatus): string {
  if (path.kind === "relay") return `relay ${path.relay ?? ""}`.trimEnd();
  return path.address ?? "a path that has just changed";
}

/** `0.14 ms`, `1.2 ms`, `9 ms`, `120 ms`: two digits that count below ten milliseconds. */
export function formatLatency(latencyMs: number): string {
  return `${latencyMs < 10 ? Number(latencyMs.toPrecision(2)) : Math.round(latencyMs)} ms`;
}
