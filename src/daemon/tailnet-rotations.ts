/** Where in the chain the epochs begin. */

import type { Chain } from "../trust/chain.ts";
import { decodeStatement } from "../trust/statement.ts";

/** Looks at each statement of a chain once. */
export class Rotations {
  #chain: Chain | undefined;
  #numbers: number[] = [];
  #upTo = 0;

  /** The numbers of the chain's rotations, in order. */
  numbersIn(chain: Chain): readonly number[] {
    if (this.#chain !== chain) {
      this.#chain = chain;
      this.#numbers = [];
      this.#upTo = 0;
    }
    const { statements } = chain;
    for (; this.#upTo < statements.length; this.#upTo++) {
      if (decodeStatement(statements[this.#upTo]!)?.body.kind === "rotate") this.#numbers.push(this.#upTo);
    }
    return this.#numbers;
  }

  /** The epoch of the head on which statement `number` stands. */
  epochBefore(chain: Chain | undefined, number: number): number {
    return chain ? this.numbersIn(chain).filter((rotation) => rotation < number).length : 0;
  }
}
