/** Opens the registry that a URL names. */

import type { Pin } from "./pin.ts";
import { RedisRegistry } from "./redis-registry.ts";
import type { Registry } from "./registry.ts";
import { RestRegistry } from "./rest-registry.ts";
import { parseRegistryUrl } from "./url.ts";

export interface OpenRegistryOptions {
  /** For `https://`: the bearer token. */
  readonly token?: string | undefined;
  /** For `https://`: the pinned key, where the URL's fragment does not hold it (join keys carry it apart). */
  readonly pin?: Pin | undefined;
  /** How long one request may take. */
  readonly requestTimeoutMs?: number | undefined;
  readonly longestAnswerBytes?: number | undefined;
  /** Allows `http://` to other hosts than loopback: laboratories only. */
  readonly allowPlainHttp?: boolean | undefined;
}

/** Connects when first used. Throws `usage` for a URL that names no registry. */
export function openRegistry(url: string, options: OpenRegistryOptions = {}): Registry {
  const parsed = parseRegistryUrl(url, { allowPlainHttp: options.allowPlainHttp === true });
  if (parsed.kind === "redis") return new RedisRegistry(parsed, options);
  const pin = parsed.base.startsWith("https:") ? (parsed.pin ?? options.pin) : undefined;
  return new RestRegistry({ ...parsed, pin }, options);
}
