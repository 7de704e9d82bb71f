/** Finding a registry that answers, among the addresses at which it may be reached. */

import { isMinitailError, MinitailError } from "../base/errors.ts";
import { openRegistry } from "../registry/open.ts";
import type { Pin } from "../registry/pin.ts";
import type { Registry } from "../registry/registry.ts";

/** One registry: join keys name it like this, and the state directory keeps it. */
export interface RegistryAddress {
  /** One or more URLs of the same registry. */
  readonly urls: readonly string[];
  readonly token: string | undefined;
  readonly pin: Pin | undefined;
}

/** How long one address may take to answer before it does not count as reached. */
const REQUEST_TIMEOUT_MS = 10_000;

/**
 * The first of the addresses that answers. Throws what they failed with: a refusal (`wrong-token`, `wrong-pin`)
 * before `registry-unreachable`, since waiting does not mend it.
 */
export async function connectRegistry(registries: readonly RegistryAddress[]): Promise<Registry> {
  const opened = registries.flatMap(({ urls, token, pin }) =>
    urls.map((url) => openRegistry(url, { token, pin, requestTimeoutMs: REQUEST_TIMEOUT_MS })),
  );
  try {
    const first = await Promise.any(opened.map((registry) => registry.ping().then(() => registry)));
    for (const registry of opened) if (registry !== first) registry.close();
    return first;
  } catch (error) {
    for (const registry of opened) registry.close();
    throw worstOf(error);
  }
}

function worstOf(error: unknown): unknown {
  const errors: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
  const refusal = errors.find((each) => !isMinitailError(each, "registry-unreachable"));
  return refusal ?? errors[0] ?? new MinitailError("registry-unreachable", "no address of a registry is known");
}
