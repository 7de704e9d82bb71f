/** Answers each signal of one eventfd by a signal of another, and makes garbage meanwhile. Never returns. */

import { drainEventFd, PollSet, signalEventFd } from "../../src/index.ts";

declare const self: Worker;

function serve(toWorker: number, toMain: number): never {
  const polls = new PollSet();
  polls.add(toWorker);
  for (;;) {
    polls.wait(-1);
    drainEventFd(toWorker);
    for (let index = 0; index < 100; index += 1) {
      new Uint8Array(new ArrayBuffer(4096)).fill(index);
    }
    signalEventFd(toMain);
  }
}

self.onmessage = (event: MessageEvent<{ toWorker: number; toMain: number }>) =>
  serve(event.data.toWorker, event.data.toMain);
