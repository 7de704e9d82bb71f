/**
 * One subscription over Upstash's REST protocol: `POST /subscribe/CHANNEL` answers with server-sent events,
 * `subscribe,CHANNEL,1` first and then `message,CHANNEL,TEXT`.
 *
 * A connection that died without a word is noticed by silence: soon where the server sends comments to keep the
 * stream alive, as ours does; after an hour where it does not.
 */

import { isMinitailError } from "../base/errors.ts";
import { readBounded } from "./bounded-body.ts";
import { EventStreamDecoder } from "./event-stream.ts";
import { parseJson } from "./json.ts";
import type { SubscribeOnce } from "./keep-subscribed.ts";
import type { Fetch } from "./pinned-fetch.ts";
import { busy, notRegistry, unreachable } from "./registry-errors.ts";
import { errorOfStatus, isBusy } from "./rest-requester.ts";

/** How long nothing may be heard. */
export interface SilenceLimits {
  /** Before the subscription is confirmed. */
  readonly connectingMs: number;
  /** Once the server has sent a comment. */
  readonly heartbeatMs: number;
  /** From a server that sends none. */
  readonly otherwiseMs: number;
}

const SILENCE_LIMITS: SilenceLimits = { connectingMs: 15_000, heartbeatMs: 90_000, otherwiseMs: 3_600_000 };
const LONGEST_ERROR_BYTES = 4096;

export interface RestSubscriptionOptions {
  readonly base: string;
  readonly display: string;
  readonly token: string | undefined;
  readonly fetch: Fetch;
  readonly channel: string;
  readonly silenceLimits?: SilenceLimits | undefined;
  onSent(commands: number): void;
}

/** Subscribes once and stays until the stream ends, or is silent for too long. */
export function restSubscription(options: RestSubscriptionOptions): SubscribeOnce {
  return async (session) => {
    const silence = new AbortController();
    const limits = options.silenceLimits ?? SILENCE_LIMITS;
    let silenceLimitMs = limits.connectingMs;
    let timer: Timer | undefined;
    const heard = () => {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(new DOMException("nothing heard", "TimeoutError")), silenceLimitMs);
      timer.unref();
    };
    heard();
    const decoder = new EventStreamDecoder({
      onData(data) {
        if (data.startsWith(`subscribe,${options.channel},`)) {
          silenceLimitMs = limits.otherwiseMs;
          session.connected();
        }
        const prefix = `message,${options.channel},`;
        if (data.startsWith(prefix)) session.message(data.slice(prefix.length));
      },
      onComment() {
        silenceLimitMs = limits.heartbeatMs;
      },
    });
    try {
      const body = await openStream(options, AbortSignal.any([session.signal, silence.signal]));
      for await (const chunk of body) {
        if (!decoder.push(chunk)) throw notRegistry("the registry's event stream is malformed");
        heard();
      }
    } catch (error) {
      throw isMinitailError(error) ? error : unreachable(options.display, error);
    } finally {
      clearTimeout(timer);
      silence.abort();
    }
  };
}

async function openStream(options: RestSubscriptionOptions, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
  const response = await options.fetch(`${options.base}/subscribe/${encodeURIComponent(options.channel)}`, {
    method: "POST",
    headers: {
      Accept: "text/event-stream",
      "Accept-Encoding": "identity",
      ...(options.token === undefined ? {} : { Authorization: `Bearer ${options.token}` }),
    },
    redirect: "manual",
    decompress: false,
    // Bun ends an idle stream after about six minutes otherwise.
    timeout: false,
    signal,
  } as BunFetchRequestInit);
  options.onSent(1);
  if (response.status === 200 && response.body) return response.body;
  const body = await readBounded(response.body, LONGEST_ERROR_BYTES);
  if (isBusy(response.status)) throw busy(options.display, `HTTP status ${response.status}`);
  if (response.status >= 500) throw new Error(`HTTP status ${response.status}`);
  throw errorOfStatus(response.status, body && parseJson(body));
}
