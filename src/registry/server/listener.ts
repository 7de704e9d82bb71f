/**
 * The TLS port of a minitail: one listener, and routes that take what is theirs. The registry is one route; the relay will
 * be another.
 */

import type { Socket } from "bun";
import { errorMessage, MinitailError } from "../../base/errors.ts";
import { type Endpoint, formatAddress, formatEndpoint, parseEndpoint } from "../../base/ip.ts";
import type { Log } from "../../base/log.ts";
import { errorCodeOf } from "../registry-errors.ts";
import type { TlsIdentity } from "../tls-identity.ts";
import { HttpConnection } from "./http-connection.ts";
import { DEFAULT_LIMITS, type RegistryLimits } from "./limits.ts";
import { clientOf } from "./rate-limiter.ts";

/** The connection that a request came on. */
export interface Connection {
  /** The client's address as text, without port. */
  readonly remoteAddress: string;
  readonly remotePort: number;
}

/** Answers a request, or leaves it (`undefined`) to the next route. */
export type Route = (request: Request, connection: Connection) => Response | undefined | Promise<Response | undefined>;

export interface ListenerOptions {
  readonly endpoint: Endpoint;
  /** Without one the port speaks plain HTTP: only for tests on loopback, which the caller sees to. */
  readonly tls: TlsIdentity | undefined;
  readonly routes: readonly Route[];
  readonly longestRequestBytes: number;
  readonly limits?: ConnectionLimits | undefined;
  readonly log: Log;
}

export type ConnectionLimits = Pick<RegistryLimits, "connections" | "connectionsPerClient">;

export interface Listener {
  /** The port in use, chosen by the system where 0 was asked for. */
  readonly port: number;
  /** Connections now. */
  readonly connections: number;
  /** Connections that were closed at once because there were too many. */
  readonly refusedConnections: number;
  /** Ends all connections. */
  stop(): Promise<void>;
}

const CHECK_INTERVAL_MS = 1000;

/** Throws `port-taken`, `not-permitted`, or `invalid` for an address that the machine does not have. */
export function startListener(options: ListenerOptions): Listener {
  const { endpoint, tls, longestRequestBytes, limits = DEFAULT_LIMITS } = options;
  const crowd = new Crowd(limits);
  const connections = new Map<Socket<Accepted | undefined>, HttpConnection>();
  const nowMs = () => performance.now();
  try {
    const server = Bun.listen<Accepted | undefined>({
      hostname: formatAddress(endpoint.address),
      port: endpoint.port,
      ...(tls ? { tls: { key: tls.keyPem, cert: tls.certificatePem } } : {}),
      socket: {
        open(socket) {
          const { remoteAddress, remotePort } = socket;
          const client = clientOf(remoteAddress);
          if (!crowd.enter(client)) return void socket.terminate();
          const handle = (request: Request) => respond(options, request, { remoteAddress, remotePort });
          const connection = new HttpConnection(socket, handle, longestRequestBytes, nowMs);
          socket.data = { client };
          connections.set(socket, connection);
        },
        data: (socket, bytes) => connections.get(socket)?.handleData(bytes),
        drain: (socket) => connections.get(socket)?.handleDrain(),
        close(socket) {
          const connection = connections.get(socket);
          if (!connection) return;
          connections.delete(socket);
          crowd.leave(socket.data!.client);
          connection.handleClose();
        },
        error() {},
      },
    });
    const checking = setInterval(() => {
      for (const connection of connections.values()) connection.checkTime();
    }, CHECK_INTERVAL_MS);
    checking.unref();
    return {
      port: server.port,
      get connections() {
        return connections.size;
      },
      get refusedConnections() {
        return crowd.refused;
      },
      async stop() {
        clearInterval(checking);
        server.stop(true);
        for (const socket of [...connections.keys()]) socket.terminate();
      },
    };
  } catch (error) {
    throw listenError(endpoint, error);
  }
}

interface Accepted {
  readonly client: string;
}

async function respond({ routes, log }: ListenerOptions, request: Request, connection: Connection): Promise<Response> {
  try {
    for (const route of routes) {
      const response = await route(request, connection);
      if (response) return response;
    }
    return new Response("not found\n", { status: 404 });
  } catch (error) {
    log.error(`a request failed: ${errorMessage(error)}`);
    return new Response("internal error\n", { status: 500 });
  }
}

/** How many connections there are, in all and of each client. */
class Crowd {
  readonly #limits: ConnectionLimits;
  readonly #ofClients = new Map<string, number>();
  #count = 0;
  refused = 0;

  constructor(limits: ConnectionLimits) {
    this.#limits = limits;
  }

  /** False where there is no room. */
  enter(client: string): boolean {
    const ofClient = this.#ofClients.get(client) ?? 0;
    if (this.#count >= this.#limits.connections || ofClient >= this.#limits.connectionsPerClient) {
      this.refused++;
      return false;
    }
    this.#count++;
    this.#ofClients.set(client, ofClient + 1);
    return true;
  }

  leave(client: string): void {
    this.#count--;
    const left = this.#ofClients.get(client)! - 1;
    if (left > 0) this.#ofClients.set(client, left);
    else this.#ofClients.delete(client);
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
    case "EADDRNOTAVAIL":
      return new MinitailError("invalid", `cannot listen on ${where}: this machine does not have that address`, {
        hint: "choose another with --listen",
        cause: error,
      });
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
