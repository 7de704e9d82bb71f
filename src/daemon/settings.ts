/** What `up` was told, as the state directory keeps it: a bare `up` uses it again, a given flag changes only itself. */

import { hostname } from "node:os";
import { MinitailError } from "../base/errors.ts";
import { type IpPrefix, isIpv4, maskPrefix, parsePrefix } from "../base/ip.ts";
import { DEFAULT_SUFFIX } from "../netmap/netmap.ts";
import { DEFAULT_POOL_TEXT, isPool } from "../trust/pool.ts";
import { type DataPlaneChoice, OFFLOADS, type Offload, type UpOptions } from "./options.ts";
import type { StateDirectory } from "./state-directory.ts";

/** UDP for packets, TCP for the registry. */
export const DEFAULT_PORT = 7411;

/** What passes every path to an IPv6 host (RFC 8200 section 5), tunnel headers left out of account. */
export const DEFAULT_MTU_BYTES = 1280;

const DEFAULT_INTERFACE_NAME = "minitail0";
const SETTINGS_FILE = "settings.json";

export interface Settings {
  readonly name: string;
  readonly pool: readonly IpPrefix[];
  readonly interfaceName: string;
  readonly port: number;
  readonly mtuBytes: number;
  readonly listen: readonly string[];
  readonly suffix: string;
  readonly dataPlane: DataPlaneChoice;
  readonly offloads: readonly Offload[];
}

/** The settings that can be stored; absent ones have their default. */
type StoredSettings = Partial<
  Pick<UpOptions, "name" | "pool" | "interfaceName" | "port" | "mtuBytes" | "listen" | "dataPlane" | "offloads">
>;

/** What was given, over what was stored, filled up with defaults. Throws `usage`. */
export function settleSettings(state: StateDirectory, options: UpOptions): Settings {
  const merged = mergeStored(state, options);
  return {
    name: merged.name ?? hostname(),
    pool: parsePool(merged.pool ?? DEFAULT_POOL_TEXT),
    interfaceName: interfaceNameOf(merged.interfaceName ?? DEFAULT_INTERFACE_NAME),
    port: merged.port ?? DEFAULT_PORT,
    mtuBytes: merged.mtuBytes ?? DEFAULT_MTU_BYTES,
    listen: merged.listen ?? [`:${DEFAULT_PORT}`],
    suffix: DEFAULT_SUFFIX,
    dataPlane: merged.dataPlane ?? "auto",
    offloads: OFFLOADS.filter((offload) => merged.offloads?.includes(offload) ?? true),
  };
}

/** Stores what was given, for the next start: once it is known that this machine can do it. */
export function keepSettings(state: StateDirectory, options: UpOptions): void {
  state.writeJson(SETTINGS_FILE, mergeStored(state, options));
}

function mergeStored(state: StateDirectory, options: UpOptions): StoredSettings {
  const { name, pool, interfaceName, port, mtuBytes, listen, dataPlane, offloads } = options;
  const given = Object.entries({ name, pool, interfaceName, port, mtuBytes, listen, dataPlane, offloads });
  return { ...readStored(state), ...Object.fromEntries(given.filter(([, value]) => value !== undefined)) };
}

/** Throws `state-damaged` for what was not stored here. */
function readStored(state: StateDirectory): StoredSettings {
  const stored = state.readJson(SETTINGS_FILE) ?? {};
  if (isStored(stored)) return stored;
  throw new MinitailError("state-damaged", `${state.file(SETTINGS_FILE)} does not hold settings`, {
    hint: "put it back from a backup, or remove it and give the flags of up again",
  });
}

function isStored(value: unknown): value is StoredSettings {
  if (typeof value !== "object" || value === null) return false;
  const { name, pool, interfaceName, port, mtuBytes, listen, dataPlane, offloads } = value as Record<string, unknown>;
  const isAbsentOr = (type: "string" | "number", item: unknown) => item === undefined || typeof item === type;
  return (
    [name, pool, interfaceName, dataPlane].every((item) => isAbsentOr("string", item)) &&
    [port, mtuBytes].every((item) => isAbsentOr("number", item)) &&
    (listen === undefined || (isListOfTexts(listen) && listen.length > 0)) &&
    (offloads === undefined || isListOfTexts(offloads))
  );
}

function isListOfTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

/** What the kernel takes for one (dev_valid_name in net/core/dev.c), but for what it would put a number into. */
function interfaceNameOf(text: string): string {
  if (/^[^\s/:%]{1,15}$/.test(text) && text !== "." && text !== "..") return text;
  throw new MinitailError("usage", `${text} is no name for an interface`, {
    hint: "use 1 to 15 letters, digits, dots, dashes or underscores",
  });
}

function parsePool(text: string): readonly IpPrefix[] {
  const prefix = parsePrefix(text);
  if (prefix && isIpv4(prefix.address) && isPool([maskPrefix(prefix)])) return [maskPrefix(prefix)];
  throw new MinitailError("usage", `${text} is no pool of addresses`, {
    hint: "give an IPv4 prefix of /8 to /30, such as 10.11.12.0/24",
  });
}
