/** That no two fields of the shared memory lie in one place, and each on a line of whoever writes it. */

import { describe, expect, test } from "bun:test";
import {
  CACHE_LINE_BYTES,
  HEADER_LENGTH_BYTES,
  HeaderCounter,
  HeaderWord,
  HeardWord,
  INSIDE_LENGTH_BYTES,
  INSIDE_OFFSET,
  MAC1_KEY_LENGTH_BYTES,
  MAC1_KEY_OFFSET,
  MAXIMUM_PEERS,
  MAXIMUM_SESSIONS,
  MAXIMUM_TRIE_NODES,
  PATH_ADDRESS_OFFSET,
  PATH_LOCAL_ADDRESS_OFFSET,
  PathWord,
  PEER_ENDPOINT_ADDRESS_OFFSET,
  PEER_ROW_LENGTH_BYTES,
  PEERS_OFFSET,
  PeerNumber,
  PeerWord,
  SESSION_RECEIVE_KEY_OFFSET,
  SESSION_ROW_LENGTH_BYTES,
  SESSION_SEND_KEY_OFFSET,
  SESSIONS_OFFSET,
  SessionNumber,
  SessionWord,
  SHARED_LENGTH_BYTES,
  TRIE_NODE_LENGTH_BYTES,
  TRIE_OFFSET,
} from "../../src/dataplane/layout.ts";

interface Field {
  readonly name: string;
  readonly offset: number;
  readonly lengthBytes: number;
}

const WORD_BYTES = 4;
const NUMBER_BYTES = 8;
const KEY_BYTES = 32;
const ADDRESS_BYTES = 16;

const fieldsOf = (indexes: Readonly<Record<string, number>>, lengthBytes: number): Field[] =>
  Object.entries(indexes).map(([name, index]) => ({ name, offset: index * lengthBytes, lengthBytes }));
const field = (name: string, offset: number, lengthBytes: number): Field => ({ name, offset, lengthBytes });

function expectApart(fields: readonly Field[], totalBytes: number): void {
  const sorted = fields.toSorted((a, b) => a.offset - b.offset);
  for (const [i, { name, offset, lengthBytes }] of sorted.entries()) {
    const end = sorted[i + 1]?.offset ?? totalBytes;
    expect({ name, fits: offset + lengthBytes <= end }).toEqual({ name, fits: true });
  }
}

/** By number, from 1 as layout.ts counts them. */
const linesOf = (fields: readonly Field[]) =>
  [...new Set(fields.map(({ offset }) => Math.floor(offset / CACHE_LINE_BYTES) + 1))].sort((a, b) => a - b);

const header = {
  words: fieldsOf(HeaderWord, WORD_BYTES),
  counters: fieldsOf(HeaderCounter, NUMBER_BYTES),
  key: field("mac1 key", MAC1_KEY_OFFSET, MAC1_KEY_LENGTH_BYTES),
};
const peer = {
  main: [...fieldsOf(PeerWord, WORD_BYTES), field("endpoint address", PEER_ENDPOINT_ADDRESS_OFFSET, ADDRESS_BYTES)],
  numbers: fieldsOf(PeerNumber, NUMBER_BYTES),
  heard: fieldsOf(HeardWord, WORD_BYTES),
  path: [
    ...fieldsOf(PathWord, WORD_BYTES),
    field("path address", PATH_ADDRESS_OFFSET, ADDRESS_BYTES),
    field("path local address", PATH_LOCAL_ADDRESS_OFFSET, ADDRESS_BYTES),
  ],
};
const session = [
  ...fieldsOf(SessionWord, WORD_BYTES),
  ...fieldsOf(SessionNumber, NUMBER_BYTES),
  field("send key", SESSION_SEND_KEY_OFFSET, KEY_BYTES),
  field("receive key", SESSION_RECEIVE_KEY_OFFSET, KEY_BYTES),
];

describe("fields lie apart", () => {
  test("in the header", () => {
    expectApart([...header.words, ...header.counters, header.key], HEADER_LENGTH_BYTES);
  });

  test("in a peer's row", () => {
    expectApart([...peer.main, ...peer.numbers, ...peer.heard, ...peer.path], PEER_ROW_LENGTH_BYTES);
  });

  test("in a session's row", () => {
    expectApart(session, SESSION_ROW_LENGTH_BYTES);
  });

  test("and so do the regions", () => {
    const regions = [
      field("header", 0, HEADER_LENGTH_BYTES),
      field("peers", PEERS_OFFSET, MAXIMUM_PEERS * PEER_ROW_LENGTH_BYTES),
      field("sessions", SESSIONS_OFFSET, MAXIMUM_SESSIONS * SESSION_ROW_LENGTH_BYTES),
      field("inside", INSIDE_OFFSET, INSIDE_LENGTH_BYTES),
      field("trie", TRIE_OFFSET, MAXIMUM_TRIE_NODES * TRIE_NODE_LENGTH_BYTES),
    ];
    expectApart(regions, SHARED_LENGTH_BYTES);
    for (const { offset } of regions) expect(offset % CACHE_LINE_BYTES).toBe(0);
    expect(PEER_ROW_LENGTH_BYTES % CACHE_LINE_BYTES).toBe(0);
    expect(SESSION_ROW_LENGTH_BYTES % CACHE_LINE_BYTES).toBe(0);
  });
});

describe("a line has one writer", () => {
  const named = (fields: readonly Field[], prefix: string) => fields.filter(({ name }) => name.startsWith(prefix));

  test("in the header", () => {
    expect(linesOf(named(header.counters, "rx"))).toEqual([3, 5]);
    expect(linesOf(named(header.counters, "tx"))).toEqual([2]);
    expect(linesOf([...header.words, header.key])).toEqual([1, 4]);
  });

  test("in a peer's row", () => {
    expect(linesOf(peer.main)).toEqual([1]);
    const sent = peer.numbers.filter(({ name }) => /sent|^tx/i.test(name));
    const received = peer.numbers.filter(({ name }) => /received|^rx/i.test(name));
    expect(sent.length + received.length).toBe(peer.numbers.length);
    expect(linesOf(sent)).toEqual([2]);
    expect(linesOf([...received, ...peer.heard])).toEqual([3]);
    expect(linesOf(peer.path)).toEqual([4]);
  });
});
