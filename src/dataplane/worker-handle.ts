/** A worker of the data plane as the main thread holds it: its thread, the port to it, and what of its life is waited for. */

import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import { signalEventFd } from "bun-ffi-tun";
import { errorMessage, MinitailError } from "../base/errors.ts";
import type { TransportCipherName } from "../crypto/transport-cipher.ts";
import type { DataPlaneEvent } from "./event.ts";
import type { WorkerRole } from "./worker.ts";

/** A worker that has not answered by then is not going to. */
const START_LIMIT_MS = 10_000;

/** A worker that is told to stop lets go of its wire first. One that can't, because it hangs, is ended without. */
const STOP_LIMIT_MS = 1_000;

/** `Command` is what it takes. */
export class WorkerHandle<Command> {
  readonly ready: Promise<void>;
  aead: TransportCipherName | undefined;
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #wakeFd: number;
  readonly #startLimit: ReturnType<typeof setTimeout>;
  readonly #ended = Promise.withResolvers<void>();
  #hasEnded = false;
  #stopping = false;
  /** Called in order, once for each wire that the worker takes. */
  readonly #onWireTaken: (() => void)[] = [];

  /** Signals `wakeFd` for each command: a worker that blocks in poll(2) does not hear its port. */
  constructor(role: Omit<WorkerRole, "port">, wakeFd: number, onEvent: (event: DataPlaneEvent) => void) {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#wakeFd = wakeFd;
    this.#worker = new Worker(workerUrl(), { workerData: { ...role, port: port2 }, transferList: [port2] });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.ready = promise;
    const fail = (message: string) => reject(new MinitailError("internal", `the data plane cannot start: ${message}`));
    this.#startLimit = setTimeout(() => fail(`${role.role} does not answer`), START_LIMIT_MS);
    let isReady = false;
    port1.on("message", (event: DataPlaneEvent) => {
      if (event.type === "ready") {
        this.aead = event.aead as TransportCipherName;
        isReady = true;
        clearTimeout(this.#startLimit);
        resolve();
      } else if (event.type === "failed" && !isReady) {
        clearTimeout(this.#startLimit);
        fail(event.message);
      } else if (event.type === "wire-taken") {
        this.#onWireTaken.shift()?.();
      } else if (event.type === "stopped") {
        this.#end();
      } else {
        onEvent(event);
      }
    });
    this.#worker.on("error", (error: unknown) => {
      clearTimeout(this.#startLimit);
      fail(errorMessage(error));
      this.#end();
      onEvent({ type: "failed", message: errorMessage(error) });
    });
  }

  tell(command: Command): void {
    if (this.#stopping) return;
    this.#port.postMessage(command);
    signalEventFd(this.#wakeFd);
  }

  /** Resolves when the worker has taken the wire that it is told of next, or is gone. */
  wireTaken(): Promise<void> {
    if (this.#hasEnded) return Promise.resolve();
    return new Promise((resolve) => this.#onWireTaken.push(resolve));
  }

  /** Tells it to stop, waits until it has, and ends it. */
  async stop(command: Command): Promise<void> {
    this.tell(command);
    this.#stopping = true;
    clearTimeout(this.#startLimit);
    const limit = setTimeout(() => this.#ended.resolve(), STOP_LIMIT_MS);
    await this.#ended.promise;
    clearTimeout(limit);
    await this.#worker.terminate();
    this.#port.close();
    this.#end();
  }

  /** It takes nothing more; why it ended is reported. */
  #end(): void {
    this.#hasEnded = true;
    this.#ended.resolve();
    for (const resolve of this.#onWireTaken.splice(0)) resolve();
  }
}

/** In the executable the second of its entries, which lies there as in the source. */
function workerUrl(): URL {
  const isExecutable = import.meta.url.includes("/$bunfs/");
  return new URL(isExecutable ? "./src/dataplane/worker-entry.js" : "./worker-entry.ts", import.meta.url);
}
