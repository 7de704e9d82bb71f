/** Waits while SIGUSR2 arrives every few milliseconds, with the bare calls and with ours, and prints how they ended. */

import {
  createEventFd,
  createSocketPair,
  errnoName,
  lastErrno,
  libc,
  monotonicMs,
  PollSet,
  readFd,
  SOL_SOCKET,
  setNonBlocking,
  setSocketOption,
  signalEventFd,
} from "../../src/index.ts";

const SO_RCVTIMEO = 20;
const LIMIT_SECONDS = 10n;
process.on("SIGUSR2", () => {});

// A read with a time limit is interrupted by a signal even where the handler asks for calls to be restarted.
const [left, right] = createSocketPair("packet");
setNonBlocking(left, false);
setSocketOption(left, SOL_SOCKET, SO_RCVTIMEO, new Uint8Array(new BigInt64Array([LIMIT_SECONDS, 0n]).buffer));
const target = new Uint8Array(2000);

const wake = createEventFd();
const writer = new Worker(new URL("./writer.worker.ts", import.meta.url).href);
await new Promise((resolve) => {
  writer.onmessage = resolve;
});
writer.postMessage({ wake, fd: right, delayMs: 100 });

process.stdout.write("ready\n");
const barePoll = libc.poll(null, 0, 10_000) === -1 ? errnoName(lastErrno()) : "none";
const bareRead = libc.read(left, target, 10) === -1 ? errnoName(lastErrno()) : "none";

const startMs = monotonicMs();
const poll = new PollSet().wait(150);
const pollMs = monotonicMs() - startMs;

signalEventFd(wake);
const read = readFd(left, target, 10);

console.log(JSON.stringify({ bare: { poll: barePoll, read: bareRead }, poll, pollMs, read }));
process.exit(0);
