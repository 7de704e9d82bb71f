/**
 * What rx hands over to the main thread, and how much of it: handshake messages, cookie replies and the replies
 * to the daemon's own echo requests.
 *
 * The main thread takes them one after the other, so only so many may wait. Anybody can send messages that look
 * like a handshake: mac1 (WireGuard paper, section 5.4.4), which only those can make who know this machine's
 * public key, is looked at here, so that junk takes no place. Cookie replies carry none, and have places of their own.
 */

import { equalBytes } from "../base/bytes.ts";
import { blake2sMac } from "../crypto/blake2s.ts";
import {
  COOKIE_REPLY_LENGTH_BYTES,
  INITIATION_LENGTH_BYTES,
  MAC_LENGTH_BYTES,
  MESSAGE_COOKIE_REPLY,
  MESSAGE_INITIATION,
  MESSAGE_RESPONSE,
  mac1Offset,
  RESPONSE_LENGTH_BYTES,
} from "../wire/wireguard.ts";
import { HeaderWord, MAC1_KEY_LENGTH_BYTES, MAC1_KEY_OFFSET } from "./layout.ts";
import { readRow, type SharedTables } from "./shared-tables.ts";

/** Messages with a valid mac1 and echo replies that may wait; more are dropped, as a full socket buffer would. */
export const MAXIMUM_HANDOVERS_WAITING = 512;

/** One answers each initiation of ours that a busy peer got. */
export const MAXIMUM_COOKIE_REPLIES_WAITING = 64;

const LENGTH_BYTES_OF_TYPE: Readonly<Record<number, number>> = {
  [MESSAGE_INITIATION]: INITIATION_LENGTH_BYTES,
  [MESSAGE_RESPONSE]: RESPONSE_LENGTH_BYTES,
  [MESSAGE_COOKIE_REPLY]: COOKIE_REPLY_LENGTH_BYTES,
};

export class HandoverGate {
  readonly #tables: SharedTables;
  readonly #mac1Key = new Uint8Array(MAC1_KEY_LENGTH_BYTES);
  #mac1KeyVersion = -1;
  #hasMac1Key = false;

  constructor(tables: SharedTables) {
    this.#tables = tables;
  }

  /** Takes a place for a datagram that is not transport data; false, and counted, where it gets none. */
  admitMessage(buffer: Uint8Array, offset: number, lengthBytes: number): boolean {
    const type = lengthBytes > 0 ? buffer[offset]! : 0;
    if (LENGTH_BYTES_OF_TYPE[type] !== lengthBytes) {
      this.#tables.count("rxMalformed");
      return false;
    }
    if (type === MESSAGE_COOKIE_REPLY) return this.#take("cookieRepliesWaiting", MAXIMUM_COOKIE_REPLIES_WAITING);
    if (!this.#hasValidMac1(buffer.subarray(offset, offset + lengthBytes))) {
      this.#tables.count("rxWrongMac1");
      return false;
    }
    return this.#take("handoversWaiting", MAXIMUM_HANDOVERS_WAITING);
  }

  admitEchoReply(): boolean {
    return this.#take("handoversWaiting", MAXIMUM_HANDOVERS_WAITING);
  }

  /** The message of this type that got a place is not handed over after all. */
  giveBack(type: number): void {
    giveHandoverBack(this.#tables, type === MESSAGE_COOKIE_REPLY);
  }

  #take(word: "handoversWaiting" | "cookieRepliesWaiting", limit: number): boolean {
    const { words } = this.#tables;
    if (Atomics.load(words, HeaderWord[word]) >= limit) {
      this.#tables.count("rxHandoversDropped");
      return false;
    }
    Atomics.add(words, HeaderWord[word], 1);
    return true;
  }

  /** False for any message while this machine has no key. */
  #hasValidMac1(message: Uint8Array): boolean {
    this.#renewMac1Key();
    if (!this.#hasMac1Key) return false;
    // mac1 := Mac(Hash(Label-Mac1 ‖ S_pub), what is before it)
    const end = mac1Offset(message);
    const mac1 = blake2sMac(this.#mac1Key, message.subarray(0, end));
    return equalBytes(mac1, message.subarray(end, end + MAC_LENGTH_BYTES));
  }

  #renewMac1Key(): void {
    const { words, bytes } = this.#tables;
    if (Atomics.load(words, HeaderWord.mac1KeyVersion) === this.#mac1KeyVersion) return;
    this.#mac1KeyVersion = readRow(words, HeaderWord.mac1KeyVersion, () => {
      this.#hasMac1Key = words[HeaderWord.hasMac1Key] === 1;
      for (let i = 0; i < MAC1_KEY_LENGTH_BYTES; i++) this.#mac1Key[i] = bytes[MAC1_KEY_OFFSET + i]!;
    });
  }
}

/** Frees the place of a handover; rx may take it from then on. */
export function giveHandoverBack({ words }: SharedTables, isCookieReply: boolean): void {
  Atomics.sub(words, isCookieReply ? HeaderWord.cookieRepliesWaiting : HeaderWord.handoversWaiting, 1);
}
