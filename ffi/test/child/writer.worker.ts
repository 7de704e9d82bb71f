/** Waits for an eventfd, then for a while, then writes one byte. */

import { PollSet, writeFd } from "../../src/index.ts";

declare const self: Worker;

self.onmessage = ({ data }: MessageEvent<{ wake: number; fd: number; delayMs: number }>) => {
  const polls = new PollSet();
  polls.add(data.wake);
  polls.wait(-1);
  new PollSet().wait(data.delayMs);
  writeFd(data.fd, Uint8Array.of(1), 1);
};
postMessage("ready");
