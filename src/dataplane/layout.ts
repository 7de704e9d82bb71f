/**
 * The memory that the main thread and the two workers share: one SharedArrayBuffer of fixed regions.
 * Pages that nothing touches cost no memory, so the regions are as large as they may ever need to be.
 *
 *     header    counters and settings of the whole plane
 *     peers     a row a peer, by slot
 *     sessions  a row a session, by `sessionRow` of its receiver index
 *     inside    prefixes that lie inside the tunnel
 *     trie      nodes of the allowed-IPs trie
 *
 * A row has a part that the main thread alone writes, under a version: odd while it is being written,
 * read before and after by whoever copies from it. The other parts have one writing worker each and
 * lie on cache lines of their own.
 */

export const CACHE_LINE_BYTES = 64;

export const MAXIMUM_PEERS = 1 << 14;
export const MAXIMUM_SESSIONS = 1 << 17;
/**
 * Two for each of the device's allowed IPs, and as many again: where prefixes take the place of others, all are in the
 * trie for a moment.
 */
export const MAXIMUM_TRIE_NODES = 1 << 20;

export const HEADER_LENGTH_BYTES = 5 * CACHE_LINE_BYTES;
export const PEER_ROW_LENGTH_BYTES = 4 * CACHE_LINE_BYTES;
export const SESSION_ROW_LENGTH_BYTES = 2 * CACHE_LINE_BYTES;
export const TRIE_NODE_LENGTH_BYTES = 32;
/** A version and a count on a line, then prefixes of 32 bytes. */
export const INSIDE_LENGTH_BYTES = CACHE_LINE_BYTES + 16 * 32;

export const PEERS_OFFSET = HEADER_LENGTH_BYTES;
export const SESSIONS_OFFSET = PEERS_OFFSET + MAXIMUM_PEERS * PEER_ROW_LENGTH_BYTES;
export const INSIDE_OFFSET = SESSIONS_OFFSET + MAXIMUM_SESSIONS * SESSION_ROW_LENGTH_BYTES;
export const TRIE_OFFSET = INSIDE_OFFSET + INSIDE_LENGTH_BYTES;
export const SHARED_LENGTH_BYTES = TRIE_OFFSET + MAXIMUM_TRIE_NODES * TRIE_NODE_LENGTH_BYTES;

/**
 * Header: 32-bit words, by index. The first and fourth line are main's, the second tx's, the third and fifth rx's. The
 * two counts of what was handed over, on the first, are raised by rx and lowered by main.
 */
export const HeaderWord = {
  /** Largest packet of the device, bytes. */
  mtuBytes: 0,
  /** Node number plus 1 of the root of the IPv4 trie; 0 where it is empty. */
  trieRootIpv4: 1,
  trieRootIpv6: 2,
  /** Moves with each change of the trie. */
  trieVersion: 3,
  /** Messages and echo replies handed to the main thread and not yet taken by it. */
  handoversWaiting: 4,
  /** The same of cookie replies. */
  cookieRepliesWaiting: 5,
  /** Of the key that mac1 of messages to this machine is made with. */
  mac1KeyVersion: 48,
  /** 0 while there is no key. */
  hasMac1Key: 49,
} as const;

/** In the header, behind its version. */
export const MAC1_KEY_OFFSET = 3 * CACHE_LINE_BYTES + 8;
export const MAC1_KEY_LENGTH_BYTES = 32;

/** Header: counters as 64-bit floats, by index. Each is written by one worker. */
export const HeaderCounter = {
  txNoPeer: 8,
  txMalformed: 9,
  txQueueOverflow: 10,
  txWireRefused: 11,
  txPackets: 12,
  rxMalformed: 16,
  rxUnknownSession: 17,
  rxForged: 18,
  rxReplayed: 19,
  rxWrongSource: 20,
  rxDeviceRefused: 21,
  rxHandoversDropped: 22,
  rxPackets: 23,
  rxWrongMac1: 32,
} as const;

export type HeaderCounterName = keyof typeof HeaderCounter;

/** Peer row, first line (main): 32-bit words from the start of the row. */
export const PeerWord = {
  version: 0,
  /** Row of the session to send under, plus 1; 0 where there is none. rx writes it too, see `Receiver`. */
  sendSessionRow: 1,
  /** 0 where no endpoint is known, else 4 or 6. */
  endpointFamily: 2,
  endpointPort: 3,
  /** 1 while the main thread watches the activity of this peer by itself. Workers set it, see `activity`. */
  watched: 6,
  /** Largest packet that goes to this peer as one datagram, bytes; 0 for all that the device makes. */
  packetLimitBytes: 7,
  /** Index of the interface that a link-local endpoint belongs to; 0 for none. */
  endpointZone: 12,
} as const;

/** Peer row, third line (rx), behind its numbers: 32-bit words from the start of the row. */
export const HeardWord = {
  /** Local index of the session under which the peer announced that it takes partial checksums; 0 for none. */
  announcedSession: 40,
} as const;

/**
 * Peer row, fourth line (rx): where the last authenticated packet came from, and to. 32-bit words from the start of the
 * row, under a version of their own.
 */
export const PathWord = {
  version: 48,
  /** The version of the main thread's part that this was seen under: it takes the endpoint's place until that moves. */
  ofVersion: 49,
  /** 0 where nothing was seen, else 4 or 6. */
  family: 50,
  port: 51,
  zone: 52,
  /** 0 where it is not known. */
  localFamily: 53,
} as const;

/** Peer row, fourth line: addresses of 4 or 16 bytes in network order. */
export const PATH_ADDRESS_OFFSET = 3 * CACHE_LINE_BYTES + 32;
export const PATH_LOCAL_ADDRESS_OFFSET = 3 * CACHE_LINE_BYTES + 48;

/** Peer row, first line: the endpoint's address, 4 or 16 bytes in network order. */
export const PEER_ENDPOINT_ADDRESS_OFFSET = 32;

/** Peer row: 64-bit floats from the start of the row; the second line is tx's, the third rx's. */
export const PeerNumber = {
  lastSentMs: 8,
  firstUnansweredSentMs: 9,
  txBytes: 10,
  txPackets: 11,
  lastReceivedMs: 16,
  firstUnansweredReceivedMs: 17,
  rxBytes: 18,
  rxPackets: 19,
} as const;

/** Session row (main): 32-bit words from the start of the row. */
export const SessionWord = {
  version: 0,
  /** Peer slot plus 1; 0 where the row holds no session. */
  peerSlot: 1,
  localIndex: 2,
  remoteIndex: 3,
  reportFirstPacket: 4,
} as const;

/** Session row: 64-bit floats from the start of the row. */
export const SessionNumber = {
  rekeyAfterSendMs: 3,
  rekeyAfterReceiveMs: 4,
  rejectAfterMs: 5,
} as const;

export const SESSION_SEND_KEY_OFFSET = 48;
export const SESSION_RECEIVE_KEY_OFFSET = 80;
