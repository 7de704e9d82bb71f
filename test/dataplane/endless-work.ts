/** Idle work for a worker that is never idle: each step has a command wait for it. */

import { signalEventFd } from "bun-ffi-tun";

export interface EndlessWork {
  readonly steps: Generator<undefined, void>;
  /** It was told to stop. */
  readonly isOver: boolean;
}

export function endlessWork(wakeFd: number): EndlessWork {
  const work = { steps: steps(), isOver: false };
  return work;

  function* steps(): Generator<undefined, void> {
    try {
      for (;;) {
        signalEventFd(wakeFd);
        yield;
      }
    } finally {
      work.isOver = true;
    }
  }
}
