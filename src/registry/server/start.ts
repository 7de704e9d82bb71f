/** The embedded registry as a whole: data, protocol, and a port of its own (or a route on a shared one). */

import { type Clock, systemClock } from "../../base/clock.ts";
import { type Endpoint, formatAddress, isIpv4 } from "../../base/ip.ts";
import { type Log, silentLog } from "../../base/log.ts";
import type { Pin } from "../pin.ts";
import { createTlsIdentity, type TlsIdentity } from "../tls-identity.ts";
import { formatPinnedUrl } from "../url.ts";
import { type Access, type RegistryTokens, TokenAccess } from "./access.ts";
import { Admission } from "./admission.ts";
import { Channels } from "./channels.ts";
import { newCounters, type RegistryStatistics, type ServedStatistics } from "./counters.ts";
import { Executor } from "./executor.ts";
import { Keyspace, type LackOfRoom } from "./keyspace.ts";
import { DEFAULT_LIMITS, type RegistryLimits } from "./limits.ts";
import { parseListen, type Route, startListener } from "./listener.ts";
import { restHandler } from "./rest-handler.ts";

export interface RegistryServiceOptions {
  /** The SQLite file; `:memory:` keeps nothing. */
  readonly dataFile: string;
  readonly access: Access;
  readonly limits?: Partial<RegistryLimits> | undefined;
  readonly clock?: Clock | undefined;
  readonly log?: Log | undefined;
}

/** The registry without a port. */
export interface RegistryService {
  readonly route: Route;
  statistics(): RegistryStatistics;
  /** See `Keyspace.lackOfRoom`. */
  lackOfRoom(): LackOfRoom | undefined;
  /** See `Keyspace.backUp`. */
  backUp(file: string): void;
  /** Ends subscriptions and closes the data; stop the listener first. */
  close(): void;
}

/** Opens the data. Throws `state-locked`, `state-unwritable` or `state-damaged`. */
export function openRegistryService(options: RegistryServiceOptions): RegistryService {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const clock = options.clock ?? systemClock;
  const nowMs = () => clock.nowMs();
  const keyspace = new Keyspace(options.dataFile, limits);
  const channels = new Channels(limits);
  const executor = new Executor(keyspace, limits, channels, nowMs);
  const counters = newCounters();
  const admission = new Admission(limits, counters, () => clock.monotonicMs());
  const log = options.log ?? silentLog;
  return {
    route: restHandler({ executor, channels, access: options.access, admission, counters, limits, log }),
    statistics: () => ({
      ...counters,
      subscribers: channels.count,
      keys: keyspace.count(),
      dataBytes: keyspace.dataBytes(),
    }),
    lackOfRoom: () => keyspace.lackOfRoom(),
    backUp: (file) => keyspace.backUp(file),
    close() {
      channels.close();
      keyspace.close();
    },
  };
}

export interface RegistryServerOptions extends Omit<RegistryServiceOptions, "access"> {
  /** `ADDR:PORT`, `:PORT`, or an endpoint; port 0 lets the system choose. */
  readonly listen: string | Endpoint;
  readonly tokens: RegistryTokens;
  /** The key of the port, random by default; `"none"` speaks plain HTTP, for tests on loopback. */
  readonly tls?: TlsIdentity | "none" | undefined;
}

export interface RegistryServer {
  /** `https://ADDR:PORT/#pin=...` with the address listened on; see `urlAt` when that is every address. */
  readonly url: string;
  readonly port: number;
  /** The pin of its key; absent for plain HTTP. */
  readonly pin: Pin | undefined;
  readonly access: TokenAccess;
  statistics(): ServedStatistics;
  /** The URL by another name or address of this machine (`[...]` around IPv6). */
  urlAt(host: string): string;
  stop(): Promise<void>;
}

/** Serves a registry on a port of its own until stopped. */
export async function startRegistryServer(options: RegistryServerOptions): Promise<RegistryServer> {
  const endpoint = typeof options.listen === "string" ? parseListen(options.listen) : options.listen;
  const identity = options.tls === "none" ? undefined : (options.tls ?? createTlsIdentity());
  const access = new TokenAccess(options.tokens);
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const service = openRegistryService({ ...options, access });
  try {
    const listener = startListener({
      endpoint,
      tls: identity,
      routes: [service.route],
      longestRequestBytes: limits.requestBytes,
      limits,
      log: options.log ?? silentLog,
    });
    const urlAt = (host: string) =>
      identity ? formatPinnedUrl(host, listener.port, identity.pin) : `http://${host}:${listener.port}`;
    const address = formatAddress(endpoint.address);
    return {
      url: urlAt(isIpv4(endpoint.address) ? address : `[${address}]`),
      port: listener.port,
      pin: identity?.pin,
      access,
      statistics: () => ({
        ...service.statistics(),
        connections: listener.connections,
        refusedConnections: listener.refusedConnections,
      }),
      urlAt,
      async stop() {
        await listener.stop();
        service.close();
      },
    };
  } catch (error) {
    service.close();
    throw error;
  }
}
