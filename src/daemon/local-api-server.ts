/** The daemon's side of the local API (`calls`): HTTP on a Unix socket for its owner alone. */

import { chmodSync, lstatSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { dirname } from "node:path";
import { errorMessage, isMinitailError, MinitailError, systemReason } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { makePrivateDirectory } from "../host/atomic-file.ts";
import type { ApiCall, ApiFailure } from "./calls/call.ts";

/** A call and how it is answered. */
export interface Route {
  /** `POST /v1/...` */
  readonly name: string;
  /** The reply, from the body of the request. */
  answer(body: unknown): unknown;
}

export function route<Request, Reply>(
  call: ApiCall<Request, Reply>,
  handle: (request: Request) => Reply | Promise<Reply>,
): Route {
  return { name: `${call.method} ${call.path}`, answer: (body) => handle(call.readRequest(body)) };
}

export interface LocalApiServer {
  stop(): Promise<void>;
}

/** No request of ours comes near it. */
const MAXIMUM_REQUEST_BYTES = 1024 * 1024;

/**
 * Serves these calls at `socketPath`. Throws `daemon-already-running` where another daemon answers there, `usage` where
 * no socket can be, and `state-unwritable` for its folder.
 */
export async function serveLocalApi(socketPath: string, routes: readonly Route[], log: Log): Promise<LocalApiServer> {
  makePrivateDirectory(dirname(socketPath), "choose another path with --socket");
  refuseOtherFile(socketPath);
  if (await answers(socketPath)) {
    throw new MinitailError("daemon-already-running", `a minitail daemon already listens on ${socketPath}`, {
      hint: "stop it with minitail down, or give this one its own --state-dir, --socket and --tun",
    });
  }
  rmSync(socketPath, { force: true });
  const byName = new Map(routes.map((each) => [each.name, each]));
  const server = listenAt(socketPath, async (request, server) => {
    // A ping may be waited for longer than connections may idle.
    server.timeout(request, 0);
    try {
      return await answer(byName, request);
    } catch (error) {
      log.debug(`local API: ${errorMessage(error)}`);
      return failure(error);
    }
  });
  chmodSync(socketPath, 0o600);
  return {
    async stop() {
      await server.stop(true);
      rmSync(socketPath, { force: true });
    },
  };
}

type Handler = (request: Request, server: Bun.Server<undefined>) => Promise<Response>;

function listenAt(socketPath: string, handle: Handler): Bun.Server<undefined> {
  try {
    return Bun.serve({ unix: socketPath, maxRequestBodySize: MAXIMUM_REQUEST_BYTES, fetch: handle });
  } catch (error) {
    throw new MinitailError("usage", `cannot make the socket ${socketPath}: ${systemReason(error)}`, {
      hint: "choose another path with --socket",
      cause: error,
    });
  }
}

async function answer(routes: ReadonlyMap<string, Route>, request: Request): Promise<Response> {
  const name = `${request.method} ${new URL(request.url).pathname}`;
  const known = routes.get(name);
  if (!known) {
    const body: ApiFailure = { error: { code: "invalid", message: `the daemon does not know ${name}` } };
    return Response.json(body, { status: 404 });
  }
  return Response.json(await known.answer(await readBody(request)));
}

/** The JSON of the request's body; a GET has none. */
async function readBody(request: Request): Promise<unknown> {
  if (request.method === "GET") return undefined;
  const text = await request.text();
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new MinitailError("invalid", "the request is not JSON", { cause: error });
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
