/** The other side of the local API (`calls`): what commands ask a running daemon. */

import { accessSync, constants } from "node:fs";
import { errorMessage, MinitailError } from "../base/errors.ts";
import type { ApiCall, ApiFailure } from "./calls/call.ts";

/** For an answer that is made from what the daemon has at hand. */
const ANSWER_LIMIT_MS = 30_000;

export class LocalApiClient {
  readonly #socketPath: string;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /** What the daemon answers. Throws `daemon-not-running`, `not-permitted`, `timeout`, or what it answers instead. */
  async call<Request, Reply>(
    { method, path, limitMs: limitOf }: ApiCall<Request, Reply>,
    ...[request]: undefined extends Request ? [] : [request: Request]
  ): Promise<Reply> {
    const limitMs = (request !== undefined && limitOf?.(request)) || ANSWER_LIMIT_MS;
    let response: Response;
    try {
      response = await fetch(`http://minitail${path}`, {
        method,
        unix: this.#socketPath,
        // A connection that is kept would be tried again after the daemon has gone.
        keepalive: false,
        signal: AbortSignal.timeout(limitMs),
        ...(request === undefined
          ? {}
          : { body: JSON.stringify(request), headers: { "Content-Type": "application/json" } }),
      });
    } catch (error) {
      throw this.#unanswered(error, limitMs);
    }
    const answer = (await response.json()) as Reply | ApiFailure;
    if (response.ok) return answer as Reply;
    const { code, message, hint } = (answer as ApiFailure).error;
    throw new MinitailError(code, message, hint === undefined ? {} : { hint });
  }

  #unanswered(error: unknown, limitMs: number): MinitailError {
    if (error instanceof Error && error.name === "TimeoutError") {
      return new MinitailError("timeout", `the daemon did not answer within ${limitMs} ms`, {
        hint: "it is stopped or hangs; end its process, then minitail down --force takes back what it left",
        cause: error,
      });
    }
    if (isForbidden(this.#socketPath)) {
      return new MinitailError("not-permitted", `cannot open ${this.#socketPath}: permission denied`, {
        hint: "run it as root",
        cause: error,
      });
    }
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT" || code === "ECONNREFUSED" || code === "ENOTSOCK") return notRunning(this.#socketPath, error);
    return new MinitailError("daemon-not-running", `the daemon hung up: ${errorMessage(error)}`, { cause: error });
  }
}

function notRunning(socketPath: string, cause: unknown): MinitailError {
  return new MinitailError("daemon-not-running", `no daemon runs at ${socketPath}`, {
    hint: "start it with minitail up",
    cause,
  });
}

/** The folder of the socket, which only the daemon's user may enter, says the same as the socket. */
function isForbidden(socketPath: string): boolean {
  try {
    accessSync(socketPath, constants.W_OK);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EACCES";
  }
}
