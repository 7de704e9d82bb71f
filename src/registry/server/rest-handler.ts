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
import type { Admission, Visit } from "./admission.ts";
import type { Channels } from "./channels.ts";
import type { RegistryCounters } from "./counters.ts";
import type { Executor, Outcome, RawCommand } from "./executor.ts";
import type { RegistryLimits } from "./limits.ts";
import type { Route } from "./listener.ts";
import { clientOf } from "./rate-limiter.ts";
import { limitExceeded, noToken, RedisError, wrongToken } from "./redis-error.ts";

export interface RestHandlerOptions {
  readonly executor: Executor;
  readonly channels: Channels;
  readonly access: Access;
  readonly admission: Admission;
  readonly counters: RegistryCounters;
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
    const { access, admission, counters } = options;
    counters.requests++;
    const token = bearerToken(request.headers.get("authorization"));
    const grant = access.grantOf(token);
    const client = clientOf(connection.remoteAddress);
    const visit = admission.enter(client, grant);
    if ("reason" in visit) return comeAgain(visit.reason === "rate" ? 429 : 503, visit.waitMs);
    let response: Response | AnswerInPieces;
    try {
      if (!grant) throw token === undefined ? noToken() : wrongToken();
      if (subscribes) {
        response = subscribe(options, { request, grant, client }, pathname.slice(SUBSCRIBE_PATH.length));
      } else if (request.method === "POST") {
        response = await execute(options, { request, grant, visit }, pathname);
      } else {
        response = errorResponse(405, new RedisError("ERR commands come by POST"));
      }
    } catch (error) {
      response = refusal(options, grant?.hasToken ? error : asToStranger(error));
    }
    if (response instanceof Response) {
      visit.leave();
      return response;
    }
    const { bytes, headers } = response;
    return new Response(
      inPieces(bytes, () => visit.leave()),
      { headers },
    );
  };
}

/** Who has no token learns that one is wanted, and of limits; not what is wrong with a command. */
function asToStranger(error: unknown): unknown {
  const isToken = error instanceof RedisError && !/^(WRONGPASS|ERR limit exceeded)/.test(error.message);
  return isToken ? noToken() : error;
}

/** What a request that threw is answered with, and counted as. */
function refusal({ counters, log }: RestHandlerOptions, error: unknown): Response {
  if (error instanceof RedisError) {
    const isAboutToken = /^(NOAUTH|WRONGPASS)/.test(error.message);
    if (isAboutToken) counters.refusedByToken++;
    else counters.refusedByLimit++;
    return errorResponse(isAboutToken ? 401 : 400, error);
  }
  counters.failed++;
  log.error(`a request failed: ${errorMessage(error)}`);
  return errorResponse(500, new RedisError("ERR the registry cannot store or read its data"));
}

const MALFORMED = () => new RedisError("ERR failed to parse command");

interface ExecutingRequest {
  readonly request: Request;
  readonly grant: Grant;
  readonly visit: Visit;
}

async function execute(
  options: RestHandlerOptions,
  { request, grant, visit }: ExecutingRequest,
  pathname: string,
): Promise<Response | AnswerInPieces> {
  const { executor, limits, counters } = options;
  const longestBytes = grant.hasToken ? limits.requestBytes : limits.strangerRequestBytes;
  const announcedBytes = Number(request.headers.get("content-length") ?? longestBytes);
  if (!(announcedBytes <= longestBytes)) return tooLarge(counters);
  if (!visit.hold(announcedBytes)) return comeAgain(503);
  const body = await readInTime(request, longestBytes, limits.bodyTimeoutMs);
  if (body === "too slow") return errorResponse(408, limitExceeded("time for a request"));
  if (!body) return tooLarge(counters);
  counters.bytesReceived += body.length;
  const json = parseJson(body);
  const encode = request.headers.get("upstash-encoding") === "base64" ? encodeBase64Reply : (reply: Reply) => reply;
  const count = pathname === "/" ? 1 : Array.isArray(json) ? json.length : 0;
  visit.charge(count, body.length);
  counters.commands += count;
  if (pathname === "/") {
    const outcome = executor.pipeline([parseCommand(json)], grant)[0]!;
    if ("error" in outcome) throw outcome.error;
    return answer(options, visit, formatOutcome(outcome, encode));
  }
  if (!Array.isArray(json) || json.length === 0) throw MALFORMED();
  if (json.length > Math.min(limits.commandsPerRequest, grant.mostCommands)) {
    throw limitExceeded("commands in a request");
  }
  const commands = json.map(parseCommand);
  if (!grant.hasToken && pathname === "/multi-exec") throw noToken();
  const outcomes =
    pathname === "/multi-exec" ? executor.transaction(commands, grant) : executor.pipeline(commands, grant);
  for (const outcome of outcomes) {
    if (!("error" in outcome)) continue;
    if (!grant.hasToken) throw outcome.error;
    countRefusal(counters, outcome.error);
  }
  return answer(
    options,
    visit,
    outcomes.map((outcome) => formatOutcome(outcome, encode)),
  );
}

function countRefusal(counters: RegistryCounters, error: RedisError): void {
  if (/^(NOAUTH|NOPERM)/.test(error.message)) counters.refusedByToken++;
  else counters.refusedByLimit++;
}

function tooLarge(counters: RegistryCounters): Response {
  counters.refusedByLimit++;
  return errorResponse(413, limitExceeded("size of a request"));
}

/** The body; `undefined` where it is too long. A client that sends a little now and then is not waited for. */
async function readInTime(
  request: Request,
  longestBytes: number,
  limitMs: number,
): Promise<Uint8Array | undefined | "too slow"> {
  const late = Promise.withResolvers<"too slow">();
  const timer = setTimeout(() => late.resolve("too slow"), limitMs);
  try {
    return await Promise.race([readBounded(request.body, longestBytes), late.promise]);
  } catch {
    // The client hung up: nobody reads the answer.
    return "too slow";
  } finally {
    clearTimeout(timer);
  }
}

interface SubscribingRequest {
  readonly request: Request;
  readonly grant: Grant;
  readonly client: string;
}

function subscribe(
  { channels, limits, counters }: RestHandlerOptions,
  { request, grant, client }: SubscribingRequest,
  encodedChannel: string,
): Response {
  if (request.method !== "POST" && request.method !== "GET") {
    return errorResponse(405, new RedisError("ERR subscriptions come by POST or GET"));
  }
  if (!grant.maySubscribe) throw noToken();
  const channel = decodeChannel(encodedChannel);
  if (channel === "" || channel.length > limits.keyLength) throw MALFORMED();
  if (!channels.hasRoomFor(client, grant.mayWrite)) {
    counters.refusedBusy++;
    return errorResponse(503, limitExceeded("number of subscribers"));
  }
  counters.commands++;
  return new Response(channels.subscribe(channel, client, grant.mayWrite), {
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

/** Longer answers are sent as they are read, so that it is known what waits for a client that does not. */
const SENT_AT_ONCE_BYTES = 64 * 1024;

/** The visit ends when it was read, or when nobody reads it any more. */
interface AnswerInPieces {
  readonly bytes: Uint8Array;
  readonly headers: Record<string, string>;
}

function answer({ counters }: RestHandlerOptions, visit: Visit, body: object): Response | AnswerInPieces {
  const bytes = utf8(JSON.stringify(body));
  visit.charge(0, bytes.length);
  counters.bytesSent += bytes.length;
  const headers = {
    "Content-Type": "application/json;charset=utf-8",
    "Content-Length": String(bytes.length),
    "Cache-Control": "no-store",
  };
  if (bytes.length <= SENT_AT_ONCE_BYTES) return new Response(bytes, { headers });
  return visit.hold(bytes.length) ? { bytes, headers } : comeAgain(503);
}

function inPieces(bytes: Uint8Array, onEnd: () => void): ReadableStream<Uint8Array> {
  let sentBytes = 0;
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        controller.enqueue(bytes.slice(sentBytes, sentBytes + SENT_AT_ONCE_BYTES));
        sentBytes += SENT_AT_ONCE_BYTES;
        if (sentBytes < bytes.length) return;
        controller.close();
        onEnd();
      },
      cancel: onEnd,
    },
    { highWaterMark: 0 },
  );
}

function comeAgain(status: 429 | 503, waitMs = 1000): Response {
  const error = new RedisError(status === 429 ? "ERR max requests limit exceeded" : "ERR the registry is busy");
  return errorResponse(status, error, { "Retry-After": String(Math.max(1, Math.ceil(waitMs / 1000))) });
}

function errorResponse(status: number, error: RedisError, headers: Record<string, string> = {}): Response {
  return Response.json({ error: error.message }, { status, headers });
}
