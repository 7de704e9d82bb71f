/**
 * Upstash's REST protocol over the executor: `POST /` takes one command, `/pipeline` and `/multi-exec` several,
 * `/subscribe/CHANNEL` answers with server-sent events. Commands are JSON arrays; answers are `{"result"}` or `{"error"}`,
 * an array of them for several, with base64 strings where `Upstash-Encoding: base64` asks for it. The style with
 * commands in the path is not there: paths end up in logs of proxies.
 */

import { utf8 } from "../../base/bytes.ts";
import { errorMessage } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { readBounded } from "../bounded-body.ts";
import { parseJson } from "../json.ts";
import type { Reply } from "../registry.ts";
import { type Access, bearerToken, type Grant } from "./access.ts";
import type { Channels } from "./channels.ts";
import type { Executor, Outcome, RawCommand } from "./executor.ts";
import type { RegistryLimits } from "./limits.ts";
import type { Connection, Route } from "./listener.ts";
import { limitExceeded, RedisError } from "./redis-error.ts";

export interface RestHandlerOptions {
  readonly executor: Executor;
  readonly channels: Channels;
  readonly access: Access;
  readonly limits: RegistryLimits;
  readonly log: Log;
}

const SUBSCRIBE_PATH = "/subscribe/";
const EXECUTING_PATHS = ["/", "/pipeline", "/multi-exec"];

/** Handles the paths of the protocol and leaves all others to the next route. */
export function restHandler(options: RestHandlerOptions): Route {
  return async (request, connection) => {
    const { pathname } = new URL(request.url);
    const subscribes = pathname.startsWith(SUBSCRIBE_PATH);
    if (!subscribes && !EXECUTING_PATHS.includes(pathname)) return undefined;
    try {
      const token = bearerToken(request.headers.get("authorization"));
      const grant = options.access.grantOf(token);
      if (!grant) return errorResponse(401, token === undefined ? NO_TOKEN : WRONG_TOKEN);
      if (subscribes) return subscribe(options, request, connection, grant, pathname.slice(SUBSCRIBE_PATH.length));
      if (request.method !== "POST") return errorResponse(405, new RedisError("ERR commands come by POST"));
      return await execute(options, request, grant, pathname);
    } catch (error) {
      if (error instanceof RedisError) return errorResponse(400, error);
      options.log.error(`a request failed: ${errorMessage(error)}`);
      return errorResponse(500, new RedisError("ERR the registry cannot store or read its data"));
    }
  };
}

const NO_TOKEN = new RedisError("NOAUTH Authentication required.");
const WRONG_TOKEN = new RedisError("WRONGPASS invalid or missing auth token");
const MALFORMED = () => new RedisError("ERR failed to parse command");

async function execute(
  { executor, limits }: RestHandlerOptions,
  request: Request,
  grant: Grant,
  pathname: string,
): Promise<Response> {
  const body = await readBounded(request.body, limits.requestBytes);
  if (!body) return errorResponse(413, limitExceeded("size of a request"));
  const json = parseJson(body);
  const encode = request.headers.get("upstash-encoding") === "base64" ? encodeBase64Reply : (reply: Reply) => reply;
  if (pathname === "/") {
    const outcome = executor.pipeline([parseCommand(json)], grant)[0]!;
    return "error" in outcome ? errorResponse(400, outcome.error) : answer(formatOutcome(outcome, encode));
  }
  if (!Array.isArray(json) || json.length === 0) throw MALFORMED();
  if (json.length > limits.commandsPerRequest) throw limitExceeded("commands in a request");
  const commands = json.map(parseCommand);
  const outcomes =
    pathname === "/multi-exec" ? executor.transaction(commands, grant) : executor.pipeline(commands, grant);
  return answer(outcomes.map((outcome) => formatOutcome(outcome, encode)));
}

function subscribe(
  { channels, limits }: RestHandlerOptions,
  request: Request,
  connection: Connection,
  grant: Grant,
  encodedChannel: string,
): Response {
  if (request.method !== "POST" && request.method !== "GET") {
    return errorResponse(405, new RedisError("ERR subscriptions come by POST or GET"));
  }
  const channel = decodeChannel(encodedChannel);
  if (channel === "" || channel.length > limits.keyLength) throw MALFORMED();
  if (!grant.maySubscribe) throw new RedisError("NOPERM this user has no permissions to run the 'subscribe' command");
  if (channels.isFull) return errorResponse(503, limitExceeded("number of subscribers"));
  connection.neverIdle();
  return new Response(channels.subscribe(channel), {
    headers: { "Content-Type": "text/event-stream", "Cache-Control": "no-store" },
  });
}

/** The package's client sends channel names as they are, ours URL-encoded. Line breaks would forge events. */
function decodeChannel(text: string): string {
  try {
    const channel = decodeURIComponent(text);
    return /[\r\n,]/.test(channel) ? "" : channel;
  } catch {
    return "";
  }
}

/** Throws for anything but a JSON array of a name and texts; numbers and booleans count as text. */
function parseCommand(json: unknown): RawCommand {
  if (!Array.isArray(json) || json.length === 0) throw MALFORMED();
  const words = json.map((word: unknown) => {
    if (typeof word === "string") return word;
    if (typeof word === "number" || typeof word === "boolean") return String(word);
    throw MALFORMED();
  });
  return words as [string, ...string[]];
}

function formatOutcome(outcome: Outcome, encode: (reply: Reply) => Reply): object {
  return "error" in outcome ? { error: outcome.error.message } : { result: encode(outcome.reply) };
}

/** The status "OK" stays as it is; inside arrays every string is a value. */
function encodeBase64Reply(reply: Reply): Reply {
  return reply === "OK" ? reply : encodeNested(reply);
}

function encodeNested(reply: Reply): Reply {
  if (typeof reply === "string") return utf8(reply).toBase64();
  return Array.isArray(reply) ? reply.map(encodeNested) : reply;
}

function answer(body: object): Response {
  return Response.json(body, { headers: { "Cache-Control": "no-store" } });
}

function errorResponse(status: number, error: RedisError): Response {
  return Response.json({ error: error.message }, { status });
}
