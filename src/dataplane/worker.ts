/** What a data plane worker does with the role that it is given; the main thread's side is `dataplane.ts`. */

import { type MessagePort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { SystemError } from "bun-ffi-tun";
import { errorMessage } from "../base/errors.ts";
import { loadTransportCipher } from "../crypto/load-transport-cipher.ts";
import type { TransportCipher, TransportCipherName } from "../crypto/transport-cipher.ts";
import type { TransportCipherBatch } from "../crypto/transport-cipher-batch.ts";
import { withBatches } from "../crypto/transport-cipher-loop.ts";
import type { DataPlaneEvent, ReceiveCommand, TransmitCommand } from "./event.ts";
import { FastReceive } from "./fast-receive.ts";
import { FastTransmit } from "./fast-transmit.ts";
import { hurryExceptIn } from "./haste.ts";
import type { Offload } from "./offload.ts";
import { PlainReceive } from "./plain-receive.ts";
import { PlainTransmit } from "./plain-transmit.ts";
import { SharedTables } from "./shared-tables.ts";
import { runTransmitLoop } from "./transmit-loop.ts";
import { warmUpReceive, warmUpTransmit } from "./warm-up.ts";

/** Packets one at a time by Bun's sockets, or in batches by system calls; the latter wants a device with virtio headers. */
export type DataPlaneWay = "plain" | "fast";

/** Given to a worker when it is made. */
export interface WorkerRole {
  readonly role: "dataplane-tx" | "dataplane-rx";
  readonly way: DataPlaneWay;
  readonly memory: SharedArrayBuffer;
  readonly port: MessagePort;
  readonly deviceFd: number;
  readonly wakeFd: number;
  readonly monitorFd: number;
  readonly timerFd: number;
  readonly cipher: TransportCipherName | undefined;
  /** Of the fast way: those that may be used. */
  readonly offloads: readonly Offload[];
}

/** Runs the role in `workerData`, and reports by its port. */
export function runWorker(): void {
  const role = workerData as WorkerRole;
  const report = (event: DataPlaneEvent) => role.port.postMessage(event);
  const run = role.role === "dataplane-tx" ? runTransmit : runReceive;
  run(role, report)
    .catch((error: unknown) => report({ type: "failed", message: errorMessage(error) }))
    .finally(() => {
      report({ type: "stopped" });
      role.port.close();
    });
}

async function runTransmit(role: WorkerRole, report: (event: DataPlaneEvent) => void): Promise<void> {
  const cipher = withBatches(loadCipher(role));
  const { deviceFd, wakeFd, monitorFd, timerFd } = role;
  const options = { tables: new SharedTables(role.memory), cipher, deviceFd, report };
  report({ type: "ready", aead: cipher.name });
  const way =
    role.way === "fast" ? new FastTransmit({ ...options, offloads: role.offloads }) : new PlainTransmit(options);
  const takeCommand = () => receiveMessageOnPort(role.port)?.message as TransmitCommand | undefined;
  await runTransmitLoop(way, {
    deviceFd,
    wakeFd,
    monitorFd,
    timerFd,
    takeCommand,
    idleWork: role.way === "fast" ? hurryExceptIn(prepare(role, warmUpTransmit)) : undefined,
    report,
  });
}

async function runReceive(role: WorkerRole, report: (event: DataPlaneEvent) => void): Promise<void> {
  const cipher = withBatches(loadCipher(role));
  const options = { tables: new SharedTables(role.memory), cipher, deviceFd: role.deviceFd, report };
  if (role.way === "plain") {
    const stopped = receivePlainly(role, new PlainReceive(options));
    report({ type: "ready", aead: cipher.name });
    return stopped;
  }
  report({ type: "ready", aead: cipher.name });
  const takeCommand = () => receiveMessageOnPort(role.port)?.message as ReceiveCommand | undefined;
  new FastReceive({
    ...options,
    offloads: role.offloads,
    wakeFd: role.wakeFd,
    takeCommand,
    idleWork: hurryExceptIn(prepare(role, warmUpReceive)),
  }).run();
}

/** What makes a worker of the fast way fast, while it has nothing to carry. */
function* prepare(
  role: WorkerRole,
  warmUp: (cipher: TransportCipherBatch) => Generator<undefined, void>,
): Generator<undefined, void> {
  try {
    yield* warmUp(withBatches(loadCipher(role)));
  } catch (error) {
    // Where the machine has no loopback, or no descriptors left, the first packets are slower.
    if (!(error instanceof SystemError)) throw error;
  }
  Bun.gc(true);
}

/** Commands are taken in order, each after the one before is done. Resolves when one of them was to stop. */
function receivePlainly(role: WorkerRole, receive: PlainReceive): Promise<void> {
  const { promise: stopped, resolve, reject } = Promise.withResolvers<void>();
  let last: Promise<void> = Promise.resolve();
  role.port.on("message", (command: ReceiveCommand) => {
    last = last.then(async () => {
      if (command.type !== "stop") return receive.handleCommand(command);
      receive.close();
      resolve();
    });
    last.catch(reject);
  });
  return stopped;
}

function loadCipher(role: WorkerRole): TransportCipher {
  return loadTransportCipher(role.cipher === undefined ? {} : { prefer: role.cipher });
}
