/**
 * One connection of HTTP/1.1: requests one after the other, each answered by a route. Nothing that a client does or
 * leaves undone holds it for long: a head must come in time, a body is read as fast as it is used, an answer must
 * be taken.
 */

import { STATUS_CODES } from "node:http";
import { concatBytes, utf8 } from "../../base/bytes.ts";
import { decodeRequestHead, type RequestHead } from "./http-request.ts";

/** The socket under it, as Bun has it. */
export interface HttpSocket {
  /** How many bytes were taken; the rest after `handleDrain`. */
  write(bytes: Uint8Array): number;
  pause(): void;
  resume(): void;
  /** Sends what was written, then closes. */
  end(): void;
  terminate(): void;
}

/** Answers a request; never throws. */
export type HttpHandler = (request: Request) => Promise<Response>;

/** From the connection, TLS included, or from the first byte of a later request, to the end of the head. */
const HEAD_LIMIT_MS = 15_000;
/** Between two requests. */
const IDLE_LIMIT_MS = 60_000;
/** For a body, and for what is left of one that nobody read. */
const BODY_LIMIT_MS = 60_000;
/** How long a client may take none of what is sent to it; beside that, an answer of known length is taken as fast as this. */
const SENDING_LIMIT_MS = 60_000;
const SLOWEST_BYTES_PER_MS = 16;
/** Of a body, before the route has read it. */
const BODY_AHEAD_BYTES = 256 * 1024;
/** Requests that a client sends before the one before was answered. */
const PIPELINE_AHEAD_BYTES = 64 * 1024;
/** Of an answer, before the client has taken it. */
const ANSWER_AHEAD_BYTES = 64 * 1024;

const CONTINUE = utf8("HTTP/1.1 100 Continue\r\n\r\n");
const LAST_CHUNK = utf8("0\r\n\r\n");
const LINE_END = utf8("\r\n");
const NOTHING = new Uint8Array(0);

/** The body under way. */
interface Body {
  leftBytes: number;
  /** Who reads it; `undefined` where what comes is thrown away. */
  sink: ReadableStreamDefaultController<Uint8Array> | undefined;
}

export class HttpConnection {
  readonly #socket: HttpSocket;
  readonly #handle: HttpHandler;
  readonly #longestBodyBytes: number;
  readonly #nowMs: () => number;
  /** What came and was not looked at yet. */
  #received: Uint8Array = NOTHING;
  #unsent: Uint8Array = NOTHING;
  /** An answer of known length is under way: it has its time, however little of it is taken at once. */
  #isSized = false;
  /** Called when there is room for more of an answer. */
  #onRoom: (() => void) | undefined;
  #body: Body | undefined;
  #answer: ReadableStreamDefaultReader<Uint8Array> | undefined;
  /** `answered`: what is left of the body is thrown away before the next request. */
  #state: "waiting" | "handling" | "answered" | "closing" | "closed" = "waiting";
  #deadlineMs: number;

  /** Bodies longer than `longestBodyBytes` end the connection where nobody reads them. */
  constructor(socket: HttpSocket, handle: HttpHandler, longestBodyBytes: number, nowMs: () => number) {
    this.#socket = socket;
    this.#handle = handle;
    this.#longestBodyBytes = longestBodyBytes;
    this.#nowMs = nowMs;
    this.#deadlineMs = nowMs() + HEAD_LIMIT_MS;
  }

  /** To be called now and then: closes what is overdue. */
  checkTime(): void {
    if (this.#nowMs() > this.#deadlineMs) this.#socket.terminate();
  }

  handleData(bytes: Uint8Array): void {
    if (this.#state === "closing" || this.#state === "closed") return;
    const rest = this.#body && this.#body.leftBytes > 0 ? this.#takeBody(this.#body, bytes) : bytes;
    if (rest.length === 0) return;
    if (this.#received.length === 0 && this.#state === "waiting") this.#allow(HEAD_LIMIT_MS);
    this.#received = concatBytes(this.#received, rest);
    if (this.#state === "waiting") this.#readHead();
    else if (this.#received.length > PIPELINE_AHEAD_BYTES) this.#socket.terminate();
  }

  handleDrain(): void {
    this.#flush();
    if (this.#state !== "handling" || this.#isSized || (this.#body?.leftBytes ?? 0) > 0) return;
    this.#allow(this.#unsent.length > 0 ? SENDING_LIMIT_MS : Number.POSITIVE_INFINITY);
  }

  handleClose(): void {
    this.#state = "closed";
    this.#unsent = NOTHING;
    this.#onRoom?.();
    this.#body?.sink?.error(new Error("the client hung up"));
    this.#body = undefined;
    this.#answer?.cancel().catch(() => {});
  }

  #allow(limitMs: number): void {
    this.#deadlineMs = this.#nowMs() + limitMs;
  }

  #readHead(): void {
    const decoded = decodeRequestHead(this.#received);
    if (decoded.kind === "incomplete") return;
    if (decoded.kind === "refused") {
      this.#write(encodeHead(decoded.status, { "content-length": "0", connection: "close" }));
      this.#close();
      return;
    }
    const rest = this.#received.subarray(decoded.lengthBytes);
    this.#received = NOTHING;
    this.#state = "handling";
    this.#allow(decoded.head.bodyBytes > 0 ? BODY_LIMIT_MS : Number.POSITIVE_INFINITY);
    const request = this.#requestOf(decoded.head);
    void this.#serve(decoded.head, request);
    if (rest.length > 0) this.handleData(rest);
  }

  #requestOf({ method, target, headers, bodyBytes }: RequestHead): Request {
    this.#body = { leftBytes: bodyBytes, sink: undefined };
    const url = `http://registry${target}`;
    if (bodyBytes === 0 || method === "GET" || method === "HEAD") return new Request(url, { method, headers });
    const body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#body!.sink = controller;
        },
        pull: () => this.#socket.resume(),
        cancel: () => this.#dropBody(),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: BODY_AHEAD_BYTES }),
    );
    return new Request(url, { method, headers, body });
  }

  /** What comes after the body. */
  #takeBody(body: Body, bytes: Uint8Array): Uint8Array {
    const taken = bytes.slice(0, body.leftBytes);
    body.leftBytes -= taken.length;
    body.sink?.enqueue(taken);
    if (body.leftBytes === 0) {
      body.sink?.close();
      body.sink = undefined;
      if (this.#state === "handling") this.#allow(Number.POSITIVE_INFINITY);
      this.#goOn();
    } else if (body.sink && (body.sink.desiredSize ?? 0) <= 0) {
      this.#socket.pause();
    }
    return bytes.subarray(taken.length);
  }

  #dropBody(): void {
    if (this.#body) this.#body.sink = undefined;
    if (this.#state !== "closed") this.#socket.resume();
  }

  async #serve(head: RequestHead, request: Request): Promise<void> {
    if (head.expectsContinue && head.bodyBytes <= this.#longestBodyBytes) this.#write(CONTINUE);
    const response = await this.#handle(request);
    if (this.#state === "closed") return void response.body?.cancel().catch(() => {});
    const closes = head.closes || (this.#body?.leftBytes ?? 0) > this.#longestBodyBytes;
    try {
      await this.#send(response, closes, request.method === "HEAD");
    } catch {
      this.#socket.terminate();
      return;
    }
    if (this.#isClosed()) return;
    this.#dropBody();
    if (closes) return this.#close();
    this.#state = "answered";
    this.#allow(BODY_LIMIT_MS);
    this.#goOn();
  }

  #isClosed(): boolean {
    return this.#state === "closed";
  }

  /** To the next request, once this one was answered and its body is over. */
  #goOn(): void {
    if (this.#state !== "answered" || (this.#body?.leftBytes ?? 0) > 0) return;
    this.#state = "waiting";
    this.#body = undefined;
    this.#allow(this.#received.length > 0 ? HEAD_LIMIT_MS : IDLE_LIMIT_MS);
    if (this.#received.length > 0) this.#readHead();
  }

  /** Pieces as the client takes them; chunked (RFC 9112 section 7.1) where the response does not say its length. */
  async #send(response: Response, closes: boolean, isHeadAlone: boolean): Promise<void> {
    const fields: Record<string, string> = Object.fromEntries(response.headers);
    if (closes) fields["connection"] = "close";
    const isChunked = response.body !== null && fields["content-length"] === undefined;
    if (isChunked) fields["transfer-encoding"] = "chunked";
    else fields["content-length"] ??= "0";
    let head: Uint8Array = encodeHead(response.status, fields);
    if (isHeadAlone) {
      // What followed would be read as the next answer (RFC 9110 section 9.3.2).
      this.#write(head);
      await response.body?.cancel();
      return;
    }
    this.#isSized = !isChunked;
    if (this.#isSized) this.#allow(SENDING_LIMIT_MS + Number(fields["content-length"]) / SLOWEST_BYTES_PER_MS);
    if (response.body) {
      this.#answer = response.body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
      for (;;) {
        const { done, value } = await this.#answer.read();
        if (done || this.#isClosed()) break;
        this.#write(concatBytes(head, isChunked ? encodeChunk(value) : value));
        head = NOTHING;
        await this.#room();
      }
      this.#answer = undefined;
    }
    this.#write(isChunked ? concatBytes(head, LAST_CHUNK) : head);
    this.#isSized = false;
  }

  #write(bytes: Uint8Array): void {
    if (this.#isClosed() || bytes.length === 0) return;
    const wasEmpty = this.#unsent.length === 0;
    this.#unsent = wasEmpty ? bytes : concatBytes(this.#unsent, bytes);
    if (wasEmpty) this.#flush();
    if (this.#unsent.length > 0 && this.#deadlineMs === Number.POSITIVE_INFINITY) this.#allow(SENDING_LIMIT_MS);
  }

  #flush(): void {
    if (this.#unsent.length > 0) this.#unsent = this.#unsent.subarray(Math.max(0, this.#socket.write(this.#unsent)));
    if (this.#unsent.length <= ANSWER_AHEAD_BYTES) this.#onRoom?.();
    if (this.#unsent.length === 0 && this.#state === "closing") this.#socket.end();
  }

  /** Resolves when the client has taken most of what was written, or is gone. */
  async #room(): Promise<void> {
    if (this.#unsent.length <= ANSWER_AHEAD_BYTES) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onRoom = resolve;
    await promise;
    this.#onRoom = undefined;
  }

  /** When what was written has gone out. */
  #close(): void {
    this.#state = "closing";
    this.#allow(SENDING_LIMIT_MS);
    if (this.#unsent.length === 0) this.#socket.end();
  }
}

function encodeHead(status: number, fields: Readonly<Record<string, string>>): Uint8Array {
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return utf8(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Unknown"}\r\n${lines.join("")}\r\n`);
}

function encodeChunk(bytes: Uint8Array): Uint8Array {
  return bytes.length === 0 ? NOTHING : concatBytes(utf8(`${bytes.length.toString(16)}\r\n`), bytes, LINE_END);
}
