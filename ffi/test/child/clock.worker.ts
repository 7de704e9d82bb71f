/** Answers each message with this thread's `monotonicMs`. */

import { monotonicMs } from "../../src/index.ts";

declare const self: Worker;

self.onmessage = () => postMessage(monotonicMs());
postMessage(monotonicMs());
