/**
 * The three sessions that a peer may have at once (WireGuard paper, section 6.3): the one that we send
 * under, the one before it, whose packets may still be on their way, and one that we made as responder
 * and that the initiator has not used yet.
 */

/** A session as the device remembers it; its keys are the data plane's. */
export interface Keypair {
  readonly localIndex: number;
  readonly isInitiator: boolean;
  readonly createdMs: number;
}

export class Keypairs {
  #current: Keypair | undefined;
  #previous: Keypair | undefined;
  #next: Keypair | undefined;

  get current(): Keypair | undefined {
    return this.#current;
  }

  /** Takes the session of a completed handshake, and answers those that it displaces. */
  add(keypair: Keypair): readonly Keypair[] {
    if (!keypair.isInitiator) {
      // The initiator has given up whatever we had not yet heard of.
      const displaced = present(this.#next, this.#previous);
      this.#next = keypair;
      this.#previous = undefined;
      return displaced;
    }
    // Where both sides began at once, the other may already send under the session it initiated.
    const displaced = this.#next ? present(this.#current, this.#previous) : present(this.#previous);
    this.#previous = this.#next ?? this.#current;
    this.#next = undefined;
    this.#current = keypair;
    return displaced;
  }

  /**
   * The first packet under a session of ours as responder has come: it is the one to send under from
   * now on. Answers the displaced ones, or `undefined` where the index does not name the next session.
   */
  confirm(localIndex: number): readonly Keypair[] | undefined {
    if (this.#next?.localIndex !== localIndex) return undefined;
    const displaced = present(this.#previous);
    this.#previous = this.#current;
    this.#current = this.#next;
    this.#next = undefined;
    return displaced;
  }

  /** Forgets all, and answers what there was. */
  clear(): readonly Keypair[] {
    const all = present(this.#current, this.#previous, this.#next);
    this.#current = undefined;
    this.#previous = undefined;
    this.#next = undefined;
    return all;
  }
}

function present(...keypairs: readonly (Keypair | undefined)[]): readonly Keypair[] {
  return keypairs.filter((keypair) => keypair !== undefined);
}
