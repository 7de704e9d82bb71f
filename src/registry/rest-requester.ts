/**
 * The transport under `@upstash/redis`: one request of Upstash's REST protocol over our `fetch`.
 *
 * It does what the package's own HttpClient does (bearer token, base64 replies, sync token) and what that cannot:
 * pinned keys, a deadline, bounded answers, retries that are counted, errors without the commands in them.
 */

import type { Requester, UpstashRequest, UpstashResponse } from "@upstash/redis";
import { isMinitailError, type MinitailError } from "../base/errors.ts";
import { backoffMs, waitFor } from "./backoff.ts";
import { readBounded } from "./bounded-body.ts";
import { isJsonObject, parseJson } from "./json.ts";
import type { Fetch } from "./pinned-fetch.ts";
import { busy, errorOfReply, isBusyError, notRegistry, tokenRefused, unreachable } from "./registry-errors.ts";
import { replyFrom } from "./replies.ts";

export interface RestRequesterOptions {
  readonly base: string;
  readonly display: string;
  readonly token: string | undefined;
  readonly fetch: Fetch;
  /** Ends every request when aborted. */
  readonly signal: AbortSignal;
  /** Told of the commands of each request that was answered, or may have arrived. */
  onSent(commands: number): void;
  readonly requestTimeoutMs: number;
  readonly longestAnswerBytes: number;
}

/** Tries of one request, the first included. More patience is the caller's: `withRetry`. */
const ATTEMPTS = 3;
const BACKOFF = { firstMs: 50, longestMs: 500 };

export class RestRequester implements Requester {
  readonly readYourWrites = true;
  upstashSyncToken = "";
  readonly #options: RestRequesterOptions;

  constructor(options: RestRequesterOptions) {
    this.#options = options;
  }

  async request<TResult = unknown>(request: UpstashRequest): Promise<UpstashResponse<TResult>> {
    for (let attempt = 0; ; attempt++) {
      try {
        return (await this.#attempt(request)) as UpstashResponse<TResult>;
      } catch (error) {
        const last = attempt + 1 >= ATTEMPTS || this.#options.signal.aborted || isBusyError(error);
        if (last || !isMinitailError(error, "registry-unreachable") || isTimeout(error.cause)) throw error;
        await waitFor(backoffMs(attempt, BACKOFF), this.#options.signal);
      }
    }
  }

  async #attempt(request: UpstashRequest): Promise<unknown> {
    const { base, display, fetch, signal, requestTimeoutMs, longestAnswerBytes } = this.#options;
    const commands = countCommands(request.body);
    const url = [base, ...(request.path ?? [""])].join("/");
    let status: number;
    let bytes: Uint8Array | undefined;
    try {
      const response = await fetch(url, {
        method: "POST",
        headers: this.#headers(),
        body: JSON.stringify(request.body),
        redirect: "manual",
        decompress: false,
        signal: AbortSignal.any([signal, AbortSignal.timeout(requestTimeoutMs)]),
      });
      this.#options.onSent(commands);
      status = response.status;
      bytes = await readBounded(response.body, longestAnswerBytes);
      this.upstashSyncToken = response.headers.get("upstash-sync-token") ?? this.upstashSyncToken;
    } catch (error) {
      if (isTimeout(error)) this.#options.onSent(commands);
      throw isMinitailError(error) ? error : unreachable(display, error);
    }
    if (!bytes) throw notRegistry(`the registry's answer is longer than ${longestAnswerBytes} bytes`);
    return decodeAnswer(status, bytes, display);
  }

  #headers(): Record<string, string> {
    const { token } = this.#options;
    return {
      "Content-Type": "application/json",
      "Accept-Encoding": "identity",
      "Upstash-Encoding": "base64",
      "Upstash-Sync-Token": this.upstashSyncToken,
      ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
    };
  }
}

function countCommands(body: unknown): number {
  return Array.isArray(body) && Array.isArray(body[0]) ? body.length : 1;
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === "TimeoutError";
}

/** `{result}` of one command, an array of `{result}` or `{error}` of several; throws for anything else. */
function decodeAnswer(status: number, bytes: Uint8Array, display: string): unknown {
  if (isBusy(status)) throw busy(display, errorTextOf(parseJson(bytes)) ?? `HTTP status ${status}`);
  if (status >= 500) throw unreachable(display, new Error(`HTTP status ${status}`));
  const answer = parseJson(bytes);
  if (status !== 200) throw errorOfStatus(status, answer);
  return Array.isArray(answer) ? answer.map(decodeItem) : decodeItem(answer);
}

/** True where the server says that the same may be asked later. */
export function isBusy(status: number): boolean {
  return status === 429 || status === 503;
}

function errorTextOf(answer: unknown): string | undefined {
  return isJsonObject(answer) && typeof answer["error"] === "string" ? answer["error"] : undefined;
}

/** The error of a status that is not 200. */
export function errorOfStatus(status: number, answer: unknown): MinitailError {
  const text = errorTextOf(answer);
  if (status === 401 || status === 403) return tokenRefused(text ?? `HTTP status ${status}`);
  if (status >= 400 && status < 500 && text !== undefined) return errorOfReply(text);
  return notRegistry(`the registry answered with HTTP status ${status}`);
}

function decodeItem(item: unknown): { result?: unknown; error?: string } {
  if (isJsonObject(item) && typeof item["error"] === "string") return { error: item["error"] };
  if (isJsonObject(item) && "result" in item) return { result: replyFrom(item["result"], decodeBase64Text) };
  throw notRegistry("the registry sent what is not an answer to a command");
}

/** Never fails: junk in a list must not make the rest of the list unreadable. */
const lenientDecoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Strings come as base64, all but "OK" (and what is none: the package's own client takes that as it is). */
function decodeBase64Text(text: string): string {
  if (text === "OK") return text;
  try {
    return lenientDecoder.decode(Uint8Array.fromBase64(text));
  } catch {
    return text;
  }
}
