/** The other side of the local API (`api.ts`): what commands ask a running daemon. */

import { accessSync, constants } from "node:fs";
import { errorMessage, MinitailError } from "../base/errors.ts";
import type {
  ApiFailure,
  CreatedKey,
  CreateKeyRequest,
  PingReply,
  PingRequest,
  RegistryStatus,
  Status,
} from "./api.ts";

/** Any answer but a ping's is made from what the daemon has at hand. */
const ANSWER_LIMIT_MS = 30_000;

/** Added to what the daemon itself waits for an echo. */
const PING_MARGIN_MS = 5_000;

/** Every method throws `daemon-not-running`, `not-permitted`, or what the daemon answers. */
export class LocalApiClient {
  readonly #socketPath: string;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  status(): Promise<Status> {
    return this.#ask("GET", "/v1/status");
  }

  /** The daemon stops after it has answered. */
  async down(): Promise<void> {
    await this.#ask("POST", "/v1/down");
  }

  ping(request: PingRequest): Promise<PingReply> {
    return this.#ask("POST", "/v1/ping", request, request.timeoutMs + PING_MARGIN_MS);
  }

  createKey(request: CreateKeyRequest): Promise<CreatedKey> {
    return this.#ask("POST", "/v1/keys", request);
  }

  registryStatus(): Promise<RegistryStatus> {
    return this.#ask("GET", "/v1/registry");
  }

  async #ask<T>(method: "GET" | "POST", path: string, body?: unknown, limitMs = ANSWER_LIMIT_MS): Promise<T> {
    let response: Response;
    try {
      response = await fetch(`http://minitail${path}`, {
        method,
        unix: this.#socketPath,
        // A connection that is kept would be tried again after the daemon has gone.
        keepalive: false,
        signal: AbortSignal.timeout(limitMs),
        ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }),
      });
    } catch (error) {
      throw this.#unanswered(error, limitMs);
    }
    const answer = (await response.json()) as T | ApiFailure;
    if (response.ok) return answer as T;
    const { code, message, hint } = (answer as ApiFailure).error;
    throw new MinitailError(code, message, hint === undefined ? {} : { hint });
  }

  #unanswered(error: unknown, limitMs: number): MinitailError {
    if (error instanceof Error && error.name === "TimeoutError") {
      return new MinitailError("timeout", `the daemon did not answer within ${limitMs} ms`, { cause: error });
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
