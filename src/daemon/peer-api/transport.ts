/**
 * The seam between what members say to each other and how it travels. TCP through the TUN is one way
 * (`tcp-server.ts`, `tcp-call.ts`); a mesh in one process, or a network stack of our own, is another.
 */

import type { IpAddress } from "../../base/ip.ts";

/** Answers a request of whoever has this address inside the mesh; `undefined` hangs up. */
export type AnswerRequest = (caller: IpAddress, request: Uint8Array) => Promise<Uint8Array | undefined>;

/** One conversation with a peer: requests, each after the answer to the one before. */
export interface PeerCall {
  /** The answer's bytes; `undefined` where the peer hung up, was too slow, or sent what is no message. */
  ask(request: Uint8Array): Promise<Uint8Array | undefined>;
  /** Every call is to be closed. */
  close(): void;
}

/** Begins a conversation with the peer that has this address inside the mesh; `undefined` where it does not answer. */
export type CallPeer = (address: IpAddress) => Promise<PeerCall | undefined>;
