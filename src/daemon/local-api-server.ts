/** The daemon's side of the local API (`api.ts`): HTTP on a Unix socket for its owner alone. */

import { chmodSync, lstatSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { dirname } from "node:path";
import { errorMessage, isMinitailError, MinitailError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { makePrivateDirectory } from "../host/atomic-file.ts";
import type {
  ApiFailure,
  CreatedKey,
  CreateKeyRequest,
  PingReply,
  PingRequest,
  RegistryStatus,
  Status,
} from "./api.ts";
import { readCreateKeyRequest, readJsonBody, readPingRequest } from "./api-request.ts";

/** What the daemon answers. */
export interface LocalApi {
  status(): Status;
  down(): void;
  ping(request: PingRequest): Promise<PingReply>;
  createKey(request: CreateKeyRequest): Promise<CreatedKey>;
  registryStatus(): RegistryStatus;
}

export interface LocalApiServer {
  stop(): Promise<void>;
}

/** No request of ours comes near it. */
const MAXIMUM_REQUEST_BYTES = 1024 * 1024;

/** Serves `api` at `socketPath`. Throws `daemon-already-running` where another daemon answers there. */
export async function serveLocalApi(socketPath: string, api: LocalApi, log: Log): Promise<LocalApiServer> {
  makePrivateDirectory(dirname(socketPath));
  refuseOtherFile(socketPath);
  if (await answers(socketPath)) {
    throw new MinitailError("daemon-already-running", `a minitail daemon already listens on ${socketPath}`, {
      hint: "stop it with minitail down, or give this one its own --state-dir, --socket and --tun",
    });
  }
  rmSync(socketPath, { force: true });
  const server = Bun.serve({
    unix: socketPath,
    maxRequestBodySize: MAXIMUM_REQUEST_BYTES,
    fetch: async (request, server) => {
      // A ping may be waited for longer than connections may idle.
      server.timeout(request, 0);
      try {
        return await answer(api, request);
      } catch (error) {
        log.debug(`local API: ${errorMessage(error)}`);
        return failure(error);
      }
    },
  });
  chmodSync(socketPath, 0o600);
  return {
    async stop() {
      await server.stop(true);
      rmSync(socketPath, { force: true });
    },
  };
}

async function answer(api: LocalApi, request: Request): Promise<Response> {
  const route = `${request.method} ${new URL(request.url).pathname}`;
  switch (route) {
    case "GET /v1/status":
      return Response.json(api.status());
    case "POST /v1/down":
      api.down();
      return Response.json({});
    case "POST /v1/ping":
      return Response.json(await api.ping(readPingRequest(await readJsonBody(request))));
    case "POST /v1/keys":
      return Response.json(await api.createKey(readCreateKeyRequest(await readJsonBody(request))));
    case "GET /v1/registry":
      return Response.json(api.registryStatus());
    default: {
      const body: ApiFailure = { error: { code: "invalid", message: `the daemon does not know ${route}` } };
      return Response.json(body, { status: 404 });
    }
  }
}

function failure(error: unknown): Response {
  const body: ApiFailure = isMinitailError(error)
    ? { error: { code: error.code, message: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) } }
    : { error: { code: "internal", message: errorMessage(error) } };
  return Response.json(body, { status: 400 });
}

/** A socket there is taken over where nobody listens; any other file is not ours to delete. */
function refuseOtherFile(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found || found.isSocket()) return;
  throw new MinitailError("usage", `${path} is no socket`, { hint: "choose another path with --socket" });
}

/** True where a process listens on the socket; a file that a killed daemon left refuses. */
function answers(socketPath: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(socketPath);
  socket.once("connect", () => {
    socket.destroy();
    resolve(true);
  });
  socket.once("error", () => resolve(false));
  return promise;
}
