/**
 * One client of the configuration socket: requests one after the other, each ended by an empty line and
 * answered before the next is looked at.
 */

import type { Socket } from "node:net";

/** Enough for 250,000 allowed IPs in one request. */
export const MAXIMUM_REQUEST_LENGTH_BYTES = 16 * 1024 * 1024;
/** A request must be whole, and its answer taken, in this time. */
export const REQUEST_TIMEOUT_MS = 30_000;

/** The empty line, with the end of the line before it. */
const REQUEST_END = "\n\n";

/** Answers one request; `undefined` closes the connection. Never rejects. */
export type Answer = (request: string) => Promise<string | undefined>;

/** Serves `socket` until either side closes it, the limits are passed, or `destroy`. */
export class UapiConnection {
  readonly #socket: Socket;
  readonly #answer: Answer;
  readonly #timeoutMs: number;
  readonly #whole: string[] = [];
  /** Pieces of the request that is still coming. */
  #parts: string[] = [];
  #waitingBytes = 0;
  #answering = false;
  #ended = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(socket: Socket, answer: Answer, timeoutMs = REQUEST_TIMEOUT_MS) {
    this.#socket = socket;
    this.#answer = answer;
    this.#timeoutMs = timeoutMs;
    this.#restartTimer();
    socket.setEncoding("latin1");
    socket.on("data", (text: Buffer | string) => this.#handleText(text.toString()));
    socket.on("end", () => this.#handleEnd());
    // The client went away while it was written to.
    socket.on("error", () => this.destroy());
    socket.on("close", () => clearTimeout(this.#timer));
  }

  destroy(): void {
    clearTimeout(this.#timer);
    this.#ended = true;
    this.#whole.length = 0;
    this.#parts = [];
    this.#socket.destroy();
  }

  #handleText(text: string): void {
    this.#waitingBytes += text.length;
    if (this.#waitingBytes > MAXIMUM_REQUEST_LENGTH_BYTES) {
      this.destroy();
      return;
    }
    let rest = text;
    // The end of a request may lie across two pieces.
    if (text.startsWith("\n") && this.#parts.at(-1)?.endsWith("\n")) {
      this.#parts.push("\n");
      this.#takeRequest();
      rest = text.slice(1);
    }
    for (let end = rest.indexOf(REQUEST_END); end >= 0; end = rest.indexOf(REQUEST_END)) {
      this.#parts.push(rest.slice(0, end + REQUEST_END.length));
      this.#takeRequest();
      rest = rest.slice(end + REQUEST_END.length);
    }
    if (rest !== "") this.#parts.push(rest);
    void this.#answerAll();
  }

  #takeRequest(): void {
    this.#whole.push(this.#parts.join("").slice(0, -REQUEST_END.length));
    this.#parts = [];
  }

  /** The client writes no more. What it did not finish is dropped: half a configuration is none. */
  #handleEnd(): void {
    this.#ended = true;
    void this.#answerAll();
  }

  async #answerAll(): Promise<void> {
    if (this.#answering) return;
    this.#answering = true;
    for (let request = this.#whole.shift(); request !== undefined; request = this.#whole.shift()) {
      this.#waitingBytes -= request.length + REQUEST_END.length;
      const answer = await this.#answer(request);
      if (answer === undefined || this.#socket.destroyed) {
        this.destroy();
        return;
      }
      await this.#write(answer);
      this.#restartTimer();
    }
    this.#answering = false;
    if (this.#ended) this.#socket.end();
  }

  /** Resolves when the client has taken the answer, or is gone. */
  #write(answer: string): Promise<void> {
    return new Promise((resolve) => {
      this.#socket.once("close", resolve);
      this.#socket.write(answer, () => {
        this.#socket.off("close", resolve);
        resolve();
      });
    });
  }

  #restartTimer(): void {
    clearTimeout(this.#timer);
    if (this.#socket.destroyed) return;
    this.#timer = setTimeout(() => this.destroy(), this.#timeoutMs);
  }
}
