/**
 * The configuration socket of an interface, /var/run/wireguard/NAME.sock, as `wg` and `wg-quick` use it.
 * Only root can open it. Who removes its file asks the interface to end.
 */

import { type FSWatcher, linkSync, rmSync, type Stats, unlinkSync, watch } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { MinitailError, systemReason } from "../base/errors.ts";
import { type Log, silentLog } from "../base/log.ts";
import { answerRequest } from "./answer.ts";
import { UapiConnection } from "./connection.ts";
import type { UapiDevice } from "./device.ts";
import { isSameFile, prepareSocketPath, statIfThere, uapiSocketPath } from "./socket-file.ts";

/** Clients at a time; more are turned away. */
const MAXIMUM_CONNECTIONS = 64;
/** Leaves 0600 of a socket's 0777. */
const SOCKET_UMASK = 0o177;
/** How often the file is looked at where the folder can't be watched. */
const FILE_CHECK_INTERVAL_MS = 2_000;

export interface UapiServerOptions {
  readonly interfaceName: string;
  readonly device: UapiDevice;
  /** Called once when the socket's file was removed, or replaced by another. */
  readonly onRemoved: () => void;
  /** Instead of /var/run/wireguard. */
  readonly folder?: string;
  /** A Unix socket that listens at the path already; it is taken over. */
  readonly listenFd?: number;
  /** Instead of 30 s for a request to be whole and its answer to be taken. */
  readonly requestTimeoutMs?: number;
  readonly log?: Log;
}

export class UapiServer {
  readonly path: string;
  readonly #options: UapiServerOptions;
  readonly #server: Server;
  readonly #connections = new Set<UapiConnection>();
  #file: Stats | undefined;
  #watcher: FSWatcher | undefined;
  #checkTimer: ReturnType<typeof setInterval> | undefined;

  private constructor(options: UapiServerOptions, path: string) {
    this.#options = options;
    this.path = path;
    // Half open: a client may end its side with the last request and still wait for the answer.
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#handleConnection(socket));
  }

  /** Resolves once clients can connect. Throws "interface-taken", "not-permitted", or "usage" for a wrong `listenFd`. */
  static async start(options: UapiServerOptions): Promise<UapiServer> {
    const path = uapiSocketPath(options.interfaceName, options.folder);
    const server = new UapiServer(options, path);
    if (options.listenFd === undefined) {
      await prepareSocketPath(path);
      await server.#listen();
    } else {
      await server.#adopt(options.listenFd);
    }
    server.#watchFile();
    return server;
  }

  /** Ends all connections and removes the file, if it is still this server's. */
  async close(): Promise<void> {
    this.#stopWatching();
    for (const connection of this.#connections) connection.destroy();
    const isOurs = this.#file !== undefined && isSameFile(this.#file, statIfThere(this.path));
    this.#file = undefined;
    if (isOurs) unlinkSync(this.path);
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  /**
   * Listens under another name first: the file has its mode before anyone sees it, taking the name fails
   * where another process was faster, and Bun, which on closing removes whatever has the name that it
   * listened under, removes nothing.
   */
  async #listen(): Promise<void> {
    const firstPath = `${this.path}.${process.pid}`;
    try {
      await this.#bind(firstPath);
      linkSync(firstPath, this.path);
      this.#file = statIfThere(this.path);
    } catch (error) {
      this.#server.close();
      const taken = (error as NodeJS.ErrnoException).code === "EEXIST";
      const what = `can't listen on ${this.path}: ${systemReason(error)}`;
      throw new MinitailError(taken ? "interface-taken" : "not-permitted", what, { cause: error });
    } finally {
      rmSync(firstPath, { force: true });
    }
  }

  async #adopt(fd: number): Promise<void> {
    this.#file = statIfThere(this.path);
    if (!this.#file?.isSocket()) throw new MinitailError("usage", `descriptor ${fd} does not listen at ${this.path}`);
    try {
      await this.#bind({ fd });
    } catch (error) {
      throw new MinitailError("usage", `can't listen on descriptor ${fd}: ${systemReason(error)}`, { cause: error });
    }
  }

  #bind(address: string | { readonly fd: number }): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once("error", reject);
    this.#server.once("listening", resolve);
    // A file is made before `listen` returns.
    const previousUmask = process.umask(SOCKET_UMASK);
    try {
      this.#server.listen(address);
    } finally {
      process.umask(previousUmask);
    }
    return promise;
  }

  #handleConnection(socket: Socket): void {
    if (this.#connections.size >= MAXIMUM_CONNECTIONS) {
      socket.destroy();
      return;
    }
    const { device, log = silentLog, requestTimeoutMs } = this.#options;
    const connection = new UapiConnection(socket, (request) => answerRequest(request, device, log), requestTimeoutMs);
    this.#connections.add(connection);
    socket.on("close", () => this.#connections.delete(connection));
  }

  #watchFile(): void {
    try {
      this.#watcher = watch(dirname(this.path), () => this.#checkFile());
      this.#watcher.on("error", () => this.#checkFile());
    } catch {
      // The system's limit of watches is reached.
      this.#checkTimer = setInterval(() => this.#checkFile(), FILE_CHECK_INTERVAL_MS);
    }
    this.#checkFile();
  }

  #checkFile(): void {
    if (this.#file && isSameFile(this.#file, statIfThere(this.path))) return;
    if (this.#stopWatching()) this.#options.onRemoved();
  }

  /** False where it was stopped before. */
  #stopWatching(): boolean {
    const wasWatching = this.#watcher !== undefined || this.#checkTimer !== undefined;
    this.#watcher?.close();
    clearInterval(this.#checkTimer);
    this.#watcher = undefined;
    this.#checkTimer = undefined;
    return wasWatching;
  }
}
