/**
 * URLs of registries: `https://HOST[:PORT]/[#pin=PIN]`, `redis://[USER:PASSWORD@]HOST[:PORT][/DB]`, `rediss://...`.
 *
 * `http://` is for loopback alone: it carries the token in clear.
 */

import { MinitailError } from "../base/errors.ts";
import { parseAddress } from "../base/ip.ts";
import { formatPin, type Pin, parsePin } from "./pin.ts";

export type RegistryUrl =
  /** `base` is an origin with a path and no slash at its end; no fragment, user or password. */
  | { readonly kind: "rest"; readonly base: string; readonly pin: Pin | undefined; readonly display: string }
  /** `full` may hold user and password; `display` does not. */
  | { readonly kind: "redis"; readonly full: string; readonly display: string };

/** Throws `usage` for what is not a registry's URL; the message does not repeat it, because it may hold a password. */
export function parseRegistryUrl(text: string, options: { readonly allowPlainHttp?: boolean } = {}): RegistryUrl {
  const url = URL.parse(text);
  if (!url || url.hostname === "") throw refused("it is not a URL");
  switch (url.protocol) {
    case "https:":
      return restUrl(url);
    case "http:":
      if (!options.allowPlainHttp && !isLoopback(url.hostname)) throw refused("http:// would send the token in clear");
      if (url.hash !== "") throw refused("http:// has no key to pin");
      return restUrl(url);
    case "redis:":
    case "rediss:":
      return { kind: "redis", full: url.href, display: `${url.protocol}//${url.host}${url.pathname}` };
    default:
      throw refused(`it begins with ${url.protocol}//`);
  }
}

function restUrl(url: URL): RegistryUrl {
  if (url.username !== "" || url.password !== "" || url.search !== "") throw refused("it holds more than an address");
  const base = `${url.origin}${url.pathname}`.replace(/\/+$/, "");
  return { kind: "rest", base, pin: pinOfFragment(url.hash), display: base };
}

function pinOfFragment(fragment: string): Pin | undefined {
  if (fragment === "") return undefined;
  const pin = fragment.startsWith("#pin=") ? parsePin(fragment.slice("#pin=".length)) : undefined;
  if (!pin) throw refused("its pin is malformed");
  return pin;
}

/** `https://HOST:PORT/#pin=PIN`: what a person gives to `--registry`. `host` is as in a URL (`[::1]`). */
export function formatPinnedUrl(host: string, port: number, pin: Pin): string {
  return `https://${host}:${port}/#pin=${formatPin(pin)}`;
}

function isLoopback(hostname: string): boolean {
  if (hostname === "localhost" || hostname === "[::1]") return true;
  return parseAddress(hostname)?.[0] === 127 && !hostname.includes(":");
}

function refused(reason: string): MinitailError {
  return new MinitailError("usage", `the registry's URL cannot be used: ${reason}`, {
    hint: "give https://HOST:PORT/#pin=..., redis://HOST or rediss://HOST",
  });
}
