/**
 * A call of the daemon's local API: what both sides know of it. One file here for each; `routes.ts` has what the
 * daemon answers, `LocalApiClient.call` asks.
 */

import type { ErrorCode } from "../../base/errors.ts";

export interface ApiCall<Request, Reply> {
  readonly method: "GET" | "POST";
  /** `/v1/...` */
  readonly path: string;
  /** The request in whatever a client sent as its JSON; `undefined` was sent where there is no body. Throws `invalid` or `usage`. */
  readRequest(value: unknown): Request;
  /** How long the answer may take, where it is not made from what the daemon has at hand. */
  limitMs?(request: Request): number;
  /** Stands for the type of the reply alone, and is never there. */
  readonly reply?: Reply;
}

/** What is answered in place of a reply, with the HTTP status 400 (or 404 for a call that the daemon does not know). */
export interface ApiFailure {
  readonly error: { readonly code: ErrorCode; readonly message: string; readonly hint?: string };
}
