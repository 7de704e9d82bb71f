/** How far the registry was seen to hold our chain, on disk: what it lacks of that it lost, what it lacks after it it never had. */

import { isMinitailError } from "../base/errors.ts";
import { ByteReader, ByteWriter } from "../trust/codec.ts";
import type { TailnetStore } from "./tailnet-store.ts";

const SEEN = "seen";
const VERSION = 2;

/** Up to `number`; -1 for nothing. */
export function saveSeenNumber(store: TailnetStore, number: number): void {
  store.save(
    SEEN,
    new ByteWriter()
      .u8(VERSION)
      .u32(number + 1)
      .finish(),
  );
}

/** `undefined` where it was never written, or cannot be read: nothing depends on it but what health says. */
export function loadSeenNumber(store: TailnetStore): number | undefined {
  const bytes = loadIfWhole(store);
  if (!bytes) return undefined;
  const reader = new ByteReader(bytes);
  reader.require(reader.u8() === VERSION);
  const count = reader.u32();
  return reader.finish() ? count - 1 : undefined;
}

function loadIfWhole(store: TailnetStore): Uint8Array | undefined {
  try {
    return store.load(SEEN);
  } catch (error) {
    if (isMinitailError(error, "state-damaged")) return undefined;
    throw error;
  }
}
