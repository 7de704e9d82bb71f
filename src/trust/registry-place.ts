/** Where a registry is found: what a join key and a move of the registry say of it. */

import type { ByteReader, ByteWriter } from "./codec.ts";

export const MOST_REGISTRIES = 8;
export const MOST_URLS = 16;
export const LONGEST_URL_BYTES = 512;
export const LONGEST_TOKEN_BYTES = 180;
export const PIN_LENGTH_BYTES = 32;

const URL_SCHEME = /^(https|http|rediss|redis):\/\/[^\s]+$/;

/** One registry, and the addresses at which it may be reached. */
export interface RegistryPlace {
  /** One or more; without token and pin. */
  readonly urls: readonly string[];
  /** Empty where the URL says it all. */
  readonly token: string;
  /** SHA-256 of the public key (SubjectPublicKeyInfo) of its TLS certificate. */
  readonly pin: Uint8Array | undefined;
}

/** URLs, each a text; the token; 0 or 1 pins. */
export function writeRegistryPlaces(writer: ByteWriter, places: readonly RegistryPlace[]): ByteWriter {
  return writer.list(places, (item, { urls, token, pin }) =>
    item
      .list(urls, (inner, url) => inner.text(url))
      .text(token)
      .list(pin ? [pin] : [], (inner, bytes) => inner.fixed(bytes)),
  );
}

/** One to eight places, each with a URL of a scheme that there is a client for. */
export function readRegistryPlaces(reader: ByteReader): readonly RegistryPlace[] {
  const places = reader.list(MOST_REGISTRIES, (item) => ({
    urls: item.list(MOST_URLS, (inner) => inner.text(LONGEST_URL_BYTES)),
    token: item.text(LONGEST_TOKEN_BYTES),
    pin: item.list(1, (inner) => inner.fixed(PIN_LENGTH_BYTES))[0],
  }));
  reader.require(places.length > 0);
  for (const { urls } of places) reader.require(urls.length > 0 && urls.every((url) => URL_SCHEME.test(url)));
  return places;
}
