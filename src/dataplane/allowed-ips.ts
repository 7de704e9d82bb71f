/**
 * Longest-prefix lookup of allowed IPs in shared memory (WireGuard paper, section 2: cryptokey
 * routing): a binary trie with compressed paths, one root a family.
 *
 *     node, 8 words
 *      0  address, 1 to 4 words, most significant first (IPv4 uses the first)
 *      4  length of the prefix in bits
 *      5  peer slot plus 1; 0 for a node that only branches
 *      6  left child (next bit 0): node number plus 1; 0 for none
 *      7  right child
 *
 * The main thread writes, workers read while it does. A new or changed node is filled before the one
 * word that links it in is stored, and a node taken out is not used again until the version of the trie
 * has moved, so a reader that began before sees the old tree or the new one. A reader whose lookup the
 * version overtook looks again.
 */

import type { IpPrefix } from "../base/ip.ts";
import { HeaderWord, MAXIMUM_TRIE_NODES, TRIE_NODE_LENGTH_BYTES, TRIE_OFFSET } from "./layout.ts";
import { loadLast } from "./shared-tables.ts";

const NODE_WORDS = TRIE_NODE_LENGTH_BYTES / 4;
const FIRST_WORD = TRIE_OFFSET / 4;
const LENGTH = 4;
const PEER = 5;
const LEFT = 6;

/** First word of node `number`, which counts from 1. */
function nodeWord(number: number): number {
  return FIRST_WORD + (number - 1) * NODE_WORDS;
}

function rootWord(isIpv4: boolean): number {
  return isIpv4 ? HeaderWord.trieRootIpv4 : HeaderWord.trieRootIpv6;
}

/** Bit `index` of a node's or lookup's address, counted from the most significant. */
function bitAt(words: Int32Array, addressWord: number, index: number): number {
  return (words[addressWord + (index >> 5)]! >>> (31 - (index & 31))) & 1;
}

/** How many of the first `limitBits` bits two addresses share. */
function commonBits(a: Int32Array, aWord: number, b: Int32Array, bWord: number, limitBits: number): number {
  for (let index = 0; index < limitBits; index += 32) {
    const difference = a[aWord + (index >> 5)]! ^ b[bWord + (index >> 5)]!;
    if (difference !== 0) return Math.min(limitBits, index + Math.clz32(difference));
  }
  return limitBits;
}

/** The main thread's side: adds and removes prefixes. */
export class AllowedIpsWriter {
  readonly #words: Int32Array;
  readonly #prefix = new Int32Array(4);
  readonly #freeNodes: number[] = [];
  #usedNodes = 0;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  /** Gives `prefix`, whose host bits are zero, to `slot`. False where the trie is full. */
  set(prefix: IpPrefix, slot: number): boolean {
    const words = this.#words;
    this.#load(prefix);
    const lengthBits = prefix.lengthBits;
    let link = rootWord(prefix.address.length === 4);
    for (;;) {
      const number = words[link]!;
      if (number === 0) return this.#link(link, this.#create(lengthBits, slot));
      const node = nodeWord(number);
      const nodeLengthBits = words[node + LENGTH]!;
      const shared = commonBits(words, node, this.#prefix, 0, Math.min(nodeLengthBits, lengthBits));
      if (shared === nodeLengthBits && shared === lengthBits) {
        Atomics.store(words, node + PEER, slot + 1);
        this.#moveVersion();
        return true;
      }
      if (shared === nodeLengthBits) {
        link = node + LEFT + bitAt(this.#prefix, 0, nodeLengthBits);
        continue;
      }
      return this.#insertAbove(link, number, shared, lengthBits, slot);
    }
  }

  /** Puts the prefix, or a branch to it, between `link` and the node that it points to. */
  #insertAbove(link: number, below: number, shared: number, lengthBits: number, slot: number): boolean {
    const words = this.#words;
    const belowBit = bitAt(words, nodeWord(below), shared);
    const created = this.#create(lengthBits, slot);
    if (created === 0) return false;
    if (shared === lengthBits) {
      words[nodeWord(created) + LEFT + belowBit] = below;
      return this.#link(link, created);
    }
    const branch = this.#create(shared, undefined);
    if (branch === 0) {
      this.#freeNodes.push(created);
      return false;
    }
    words[nodeWord(branch) + LEFT + belowBit] = below;
    words[nodeWord(branch) + LEFT + (1 - belowBit)] = created;
    return this.#link(link, branch);
  }

  /** Takes `prefix` out; nothing happens where it is not in. */
  remove(prefix: IpPrefix): void {
    const words = this.#words;
    this.#load(prefix);
    let parentLink = 0;
    let link = rootWord(prefix.address.length === 4);
    for (;;) {
      const number = words[link]!;
      if (number === 0) return;
      const node = nodeWord(number);
      const nodeLengthBits = words[node + LENGTH]!;
      if (nodeLengthBits > prefix.lengthBits) return;
      if (commonBits(words, node, this.#prefix, 0, nodeLengthBits) < nodeLengthBits) return;
      if (nodeLengthBits === prefix.lengthBits) break;
      parentLink = link;
      link = node + LEFT + bitAt(this.#prefix, 0, nodeLengthBits);
    }
    const retired: number[] = [];
    Atomics.store(words, nodeWord(words[link]!) + PEER, 0);
    this.#dissolve(link, retired);
    if (parentLink !== 0) this.#dissolve(parentLink, retired);
    this.#moveVersion();
    this.#freeNodes.push(...retired);
  }

  /** Replaces a node that neither holds a peer nor branches by its only child, or by nothing. */
  #dissolve(link: number, retired: number[]): void {
    const words = this.#words;
    const number = words[link]!;
    if (number === 0) return;
    const node = nodeWord(number);
    const left = words[node + LEFT]!;
    const right = words[node + LEFT + 1]!;
    if (words[node + PEER] !== 0 || (left !== 0 && right !== 0)) return;
    Atomics.store(words, link, left === 0 ? right : left);
    retired.push(number);
  }

  #load(prefix: IpPrefix): void {
    loadAddress(this.#prefix, prefix.address, 0, prefix.address.length);
  }

  /** A node with the prefix that is loaded, cut to `lengthBits`; 0 where there is no room. */
  #create(lengthBits: number, slot: number | undefined): number {
    const number = this.#freeNodes.pop() ?? (this.#usedNodes < MAXIMUM_TRIE_NODES ? ++this.#usedNodes : 0);
    if (number === 0) return 0;
    const words = this.#words;
    const node = nodeWord(number);
    for (let i = 0; i < 4; i++) {
      const bits = Math.min(32, Math.max(0, lengthBits - 32 * i));
      words[node + i] = bits === 0 ? 0 : this.#prefix[i]! & (-1 << (32 - bits));
    }
    words[node + LENGTH] = lengthBits;
    words[node + PEER] = slot === undefined ? 0 : slot + 1;
    words[node + LEFT] = 0;
    words[node + LEFT + 1] = 0;
    return number;
  }

  #link(link: number, number: number): boolean {
    if (number === 0) return false;
    Atomics.store(this.#words, link, number);
    this.#moveVersion();
    return true;
  }

  #moveVersion(): void {
    Atomics.add(this.#words, HeaderWord.trieVersion, 1);
  }
}

/** A worker's side. */
export class AllowedIpsReader {
  readonly #words: Int32Array;
  readonly #address = new Int32Array(4);

  constructor(words: Int32Array) {
    this.#words = words;
  }

  /** The slot of the longest prefix that holds the address of 4 or 16 bytes at `offset`; -1 for none. */
  lookup(buffer: Uint8Array, offset: number, lengthBytes: 4 | 16): number {
    loadAddress(this.#address, buffer, offset, lengthBytes);
    for (;;) {
      const version = Atomics.load(this.#words, HeaderWord.trieVersion);
      const slot = this.#walk(lengthBytes === 4);
      if (loadLast(this.#words, HeaderWord.trieVersion) === version) return slot;
    }
  }

  #walk(isIpv4: boolean): number {
    const words = this.#words;
    const addressBits = isIpv4 ? 32 : 128;
    let found = -1;
    let number = words[rootWord(isIpv4)]!;
    // A tree that changes under the walk could show a loop; no path is longer than the address.
    for (let depth = 0; number !== 0 && depth <= addressBits; depth++) {
      const node = nodeWord(number);
      const lengthBits = words[node + LENGTH]!;
      if (commonBits(words, node, this.#address, 0, lengthBits) < lengthBits) break;
      const slot = words[node + PEER]!;
      if (slot !== 0) found = slot - 1;
      if (lengthBits >= addressBits) break;
      number = words[node + LEFT + bitAt(this.#address, 0, lengthBits)]!;
    }
    return found;
  }
}

function loadAddress(words: Int32Array, bytes: Uint8Array, offset: number, lengthBytes: number): void {
  for (let i = 0; i < lengthBytes; i += 4) {
    const at = offset + i;
    words[i >> 2] = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
  }
}
