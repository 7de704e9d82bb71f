/**
 * The TLS port of a minitail: one listener, and routes that take what is theirs. The registry is one route; the relay will
 * be another.
 */

import { errorMessage, MinitailError } from "../../base/errors.ts";
import { type Endpoint, formatAddress, formatEndpoint, parseEndpoint } from "../../base/ip.ts";
import type { Log } from "../../base/log.ts";
import { errorCodeOf } from "../registry-errors.ts";
import type { TlsIdentity } from "../tls-identity.ts";

/** The connection that a request came on. */
export interface Connection {
  /** The client's address as text, without port. */
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** Exempts this request from the idle timeout, for answers that stream. */
  neverIdle(): void;
}

/** Answers a request, or leaves it (`undefined`) to the next route. */
export type Route = (request: Request, connection: Connection) => Response | undefined | Promise<Response | undefined>;

export interface ListenerOptions {
  readonly endpoint: Endpoint;
  /** Without one the port speaks plain HTTP: only for tests on loopback, which the caller sees to. */
  readonly tls: TlsIdentity | undefined;
  readonly routes: readonly Route[];
  readonly longestRequestBytes: number;
  readonly log: Log;
}

export interface Listener {
  /** The port in use, chosen by the system where 0 was asked for. */
  readonly port: number;
  /** Ends all connections. */
  stop(): Promise<void>;
}

/** Connections that say nothing for so long are closed. */
const IDLE_TIMEOUT_S = 60;

/** Throws `port-taken`, `not-permitted`, or `invalid` for an address that the machine does not have. */
export function startListener(options: ListenerOptions): Listener {
  const { endpoint, tls, routes, log } = options;
  try {
    const server = Bun.serve({
      hostname: formatAddress(endpoint.address),
      port: endpoint.port,
      idleTimeout: IDLE_TIMEOUT_S,
      maxRequestBodySize: options.longestRequestBytes,
      development: false,
      ...(tls ? { tls: { key: tls.keyPem, cert: tls.certificatePem } } : {}),
      async fetch(request, server) {
        const remote = server.requestIP(request);
        const connection: Connection = {
          remoteAddress: remote?.address ?? "",
          remotePort: remote?.port ?? 0,
          neverIdle: () => server.timeout(request, 0),
        };
        for (const route of routes) {
          const response = await route(request, connection);
          if (response) return response;
        }
        return new Response("not found\n", { status: 404 });
      },
      error(error) {
        log.error(`a request failed: ${errorMessage(error)}`);
        return new Response("internal error\n", { status: 500 });
      },
    });
    return { port: server.port!, stop: () => server.stop(true) };
  } catch (error) {
    throw listenError(endpoint, error);
  }
}

function listenError(endpoint: Endpoint, error: unknown): MinitailError {
  const where = formatEndpoint(endpoint);
  switch (errorCodeOf(error)) {
    case "EADDRINUSE":
      return new MinitailError("port-taken", `TCP port ${endpoint.port} is taken`, {
        hint: "choose another with --listen",
        cause: error,
      });
    case "EACCES":
      return new MinitailError("not-permitted", `not permitted to listen on ${where}`, { cause: error });
    default:
      return new MinitailError("invalid", `cannot listen on ${where}: ${errorMessage(error)}`, { cause: error });
  }
}

/** `ADDR:PORT`, or `:PORT` for every address of both families. Throws `usage`. */
export function parseListen(text: string): Endpoint {
  const everywhere = /^:[0-9]+$/.test(text) ? `[::]${text}` : text;
  const endpoint = parseEndpoint(everywhere);
  if (endpoint) return endpoint;
  throw new MinitailError("usage", `cannot listen on ${JSON.stringify(text)}: it is not ADDR:PORT or :PORT`);
}
