/**
 * A Worker that blocks in poll(2), without an event loop, and a main thread that wakes it.
 *
 *     bun example/wake-worker.ts
 */

import { createEventFd, drainEventFd, monotonicMs, PollSet, signalEventFd } from "../src/index.ts";

declare const self: Worker;

if (Bun.isMainThread) {
  const wake = createEventFd();
  const worker = new Worker(import.meta.url);
  worker.onmessage = ({ data }: MessageEvent<number>) => {
    console.log(`the Worker woke ${(data * 1000).toFixed(0)} µs after the signal`);
    worker.terminate();
  };
  const shared = new Float64Array(new SharedArrayBuffer(8));
  worker.postMessage({ wake, shared });
  setTimeout(() => {
    shared[0] = monotonicMs();
    signalEventFd(wake);
  }, 100);
} else {
  self.onmessage = ({ data }: MessageEvent<{ wake: number; shared: Float64Array }>) => {
    const polls = new PollSet();
    polls.add(data.wake);
    polls.wait(-1);
    const wokenMs = monotonicMs();
    drainEventFd(data.wake);
    postMessage(wokenMs - data.shared[0]!);
  };
}
