/** What was begun and is to be taken back at the end: the newest first, and on to the next where one fails. */

import { errorMessage } from "../base/errors.ts";
import type { Log } from "../base/log.ts";

export type CleanUp = () => void | Promise<void>;

export class CleanUps {
  readonly #log: Log;
  readonly #cleanUps: CleanUp[] = [];

  constructor(log: Log) {
    this.#log = log;
  }

  add(cleanUp: CleanUp): void {
    this.#cleanUps.push(cleanUp);
  }

  /** To be done when all others are, whenever they were added. */
  addLast(cleanUp: CleanUp): void {
    this.#cleanUps.unshift(cleanUp);
  }

  /** Does each, once. What fails is logged. */
  async run(): Promise<void> {
    for (const cleanUp of this.#cleanUps.splice(0).reverse()) {
      try {
        await cleanUp();
      } catch (error) {
        this.#log.error(`while stopping: ${errorMessage(error)}`);
      }
    }
  }
}
