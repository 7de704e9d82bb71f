/**
 * WireGuard's key pair of this machine, which is another one after a while. The next one is on disk before anybody
 * hears of it: whenever the machine stops, it starts with a key that its record says, or goes on to say.
 */

import { MinitailError } from "../base/errors.ts";
import type { RandomSource } from "../crypto/random.ts";
import { generateX25519PrivateKey, X25519_KEY_LENGTH_BYTES } from "../crypto/x25519.ts";
import { ByteReader, ByteWriter } from "../trust/codec.ts";
import { type KeyPair, type MachineIdentity, x25519KeyPair } from "../trust/identity.ts";
import type { TailnetStore } from "./tailnet-store.ts";

const FILE = "node-key";
const VERSION = 1;

export class NodeKey {
  readonly #store: TailnetStore;
  #current: KeyPair;
  #createdAtMs: number;

  private constructor(store: TailnetStore, current: KeyPair, createdAtMs: number) {
    this.#store = store;
    this.#current = current;
    this.#createdAtMs = createdAtMs;
  }

  /** The key on disk; that of the identity, from now on, on a machine that never had another. Throws `state-damaged`. */
  static load(store: TailnetStore, identity: MachineIdentity, nowMs: number): NodeKey {
    const bytes = store.load(FILE);
    if (!bytes) {
      const first = new NodeKey(store, identity.nodeKey, nowMs);
      first.#save(undefined);
      return first;
    }
    const reader = new ByteReader(bytes);
    reader.require(reader.u8() === VERSION);
    const createdAtMs = reader.u64();
    const keys = reader.list(2, (item) => item.fixed(X25519_KEY_LENGTH_BYTES));
    const newest = keys.at(-1);
    if (!reader.finish() || !newest) {
      throw new MinitailError("state-damaged", "the stored node key cannot be read", {
        hint: "put the state directory back from a backup, or remove it and join again",
      });
    }
    const key = new NodeKey(store, x25519KeyPair(newest), createdAtMs);
    // A rotation that was cut off: who starts has no session that the former key would serve.
    if (keys.length > 1) key.#save(undefined);
    return key;
  }

  get current(): KeyPair {
    return this.#current;
  }

  /** When the current key was made, in Unix time by this machine's clock. */
  get createdAtMs(): number {
    return this.#createdAtMs;
  }

  /** A fresh key pair, on disk beside the current one. */
  drawNext(random: RandomSource): KeyPair {
    const next = x25519KeyPair(generateX25519PrivateKey(random));
    this.#save(next);
    return next;
  }

  /** The next one is the current one from here on. */
  adopt(next: KeyPair, nowMs: number): void {
    this.#current = next;
    this.#createdAtMs = nowMs;
    this.#save(undefined);
  }

  /** The next one is forgotten. */
  abandonNext(): void {
    this.#save(undefined);
  }

  #save(next: KeyPair | undefined): void {
    const keys = next ? [this.#current, next] : [this.#current];
    const writer = new ByteWriter()
      .u8(VERSION)
      .u64(this.#createdAtMs)
      .list(keys, (item, { privateKey }) => item.fixed(privateKey));
    this.#store.save(FILE, writer.finish());
  }
}
