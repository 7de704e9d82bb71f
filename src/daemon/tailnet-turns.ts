/** One thing at a time, in the order of asking. */

export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `action` when all that was asked for before has ended, however it ended. */
  take<T>(action: () => T | Promise<T>): Promise<T> {
    const result = this.#last.then(action);
    this.#last = result.catch(() => {});
    return result;
  }
}
