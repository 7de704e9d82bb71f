/** Where the registry of a member is, in its state directory. */

import { formatBase64Url } from "../base/bytes.ts";
import { MinitailError } from "../base/errors.ts";
import { type Pin, parsePin } from "../registry/pin.ts";
import { parseRegistryUrl } from "../registry/url.ts";
import type { RegistryAddress } from "./registry-connection.ts";
import type { StateDirectory } from "./state-directory.ts";

const REGISTRIES_FILE = "registries.json";

export function writeRegistries(state: StateDirectory, addresses: readonly RegistryAddress[]): void {
  const entries = addresses.map(({ urls, token, pin }) => ({ urls, token, pin: pin && formatBase64Url(pin) }));
  state.writeJson(REGISTRIES_FILE, entries);
}

export function forgetRegistries(state: StateDirectory): void {
  state.remove(REGISTRIES_FILE);
}

/** False on a machine that follows the registry which it serves itself. */
export function hasRegistries(state: StateDirectory): boolean {
  return state.read(REGISTRIES_FILE) !== undefined;
}

/** At least one URL. Throws `state-damaged`. */
export function readRegistries(state: StateDirectory): readonly RegistryAddress[] {
  const stored = state.readJson(REGISTRIES_FILE);
  const addresses = Array.isArray(stored) ? stored.map(readAddress) : [];
  if (addresses.length > 0 && addresses.every((address) => address !== undefined)) return addresses;
  throw new MinitailError("state-damaged", `${state.file(REGISTRIES_FILE)} names no registry`, {
    hint: "put it back from a backup, or give a new join key with --join",
  });
}

function readAddress(value: unknown): RegistryAddress | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { urls, token, pin: pinText } = value as Record<string, unknown>;
  if (!Array.isArray(urls) || urls.length === 0 || !urls.every(isRegistryUrl)) return undefined;
  if (token !== undefined && typeof token !== "string") return undefined;
  const pin: Pin | undefined = typeof pinText === "string" ? parsePin(pinText) : undefined;
  return pinText !== undefined && !pin ? undefined : { urls, token, pin };
}

function isRegistryUrl(value: unknown): value is string {
  if (typeof value !== "string") return false;
  try {
    parseRegistryUrl(value);
    return true;
  } catch {
    return false;
  }
}
