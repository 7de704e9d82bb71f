/** Upstash's own variables, as its console gives them: the registry's URL and token where no flag says otherwise. */

export interface RegistryFlags {
  readonly registryUrl: string | undefined;
  readonly token: string | undefined;
  readonly secret: string | undefined;
}

/**
 * The URL and the token to use. The URL is taken only for a shared secret: a bare `up` uses what it has stored. The
 * token goes to no other registry than Upstash's variables name.
 */
export function upstashRegistry(
  flags: RegistryFlags,
  environment: Readonly<Record<string, string | undefined>>,
): { readonly registryUrl: string | undefined; readonly token: string | undefined } {
  const url = environment["UPSTASH_REDIS_REST_URL"] || undefined;
  const registryUrl = flags.registryUrl ?? (flags.secret === undefined ? undefined : url);
  const isThatRegistry = registryUrl?.startsWith("https://") === true && (url === undefined || registryUrl === url);
  const token = flags.token ?? (isThatRegistry ? environment["UPSTASH_REDIS_REST_TOKEN"] || undefined : undefined);
  return { registryUrl, token };
}
