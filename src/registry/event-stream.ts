/** Server-sent events (HTML Living Standard, section 9.2), read from bytes as they come. */

import { decodeUtf8 } from "../base/bytes.ts";

/** Longest event that is kept together: the channel says "something changed", nothing large. */
const LONGEST_EVENT_LENGTH = 1 << 20;

export interface EventStreamHandlers {
  /** The `data` lines of one event, joined with newlines. */
  onData(data: string): void;
  /** A line that begins with a colon: keeps the connection alive. */
  onComment?(): void;
}

/**
 * Feed it chunks in order. `push` answers false when the stream is malformed (not UTF-8, or an event that is too
 * long): drop the connection then. Fields other than `data` are ignored.
 */
export class EventStreamDecoder {
  readonly #handlers: EventStreamHandlers;
  #rest: Uint8Array = new Uint8Array(0);
  #data: string[] = [];
  #dataLength = 0;

  constructor(handlers: EventStreamHandlers) {
    this.#handlers = handlers;
  }

  push(chunk: Uint8Array): boolean {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let start = 0;
    for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, start)) {
      const line = decodeUtf8(bytes.subarray(start, end));
      start = end + 1;
      if (line === undefined || !this.#line(line.endsWith("\r") ? line.slice(0, -1) : line)) return false;
    }
    this.#rest = bytes.slice(start);
    return this.#rest.length <= LONGEST_EVENT_LENGTH;
  }

  #line(line: string): boolean {
    if (line === "") {
      if (this.#data.length > 0) this.#handlers.onData(this.#data.join("\n"));
      this.#data = [];
      this.#dataLength = 0;
    } else if (line.startsWith(":")) {
      this.#handlers.onComment?.();
    } else if (line.startsWith("data:")) {
      const data = line.slice(line[5] === " " ? 6 : 5);
      this.#data.push(data);
      this.#dataLength += data.length + 1;
    }
    return this.#dataLength <= LONGEST_EVENT_LENGTH;
  }
}
