/** Who may ask what of this machine: requests that came with an address become answers to a member. */

import { formatAddress, type IpAddress } from "../../base/ip.ts";
import type { NodeId } from "../../trust/identity.ts";
import { type AnswerEvents, answerRequest } from "./answer.ts";
import { RequestRate } from "./limits.ts";
import { decodeRequest, encodeMessage } from "./message.ts";
import type { NewsShelf } from "./shelf.ts";

export interface PeerServiceOptions {
  readonly shelf: NewsShelf;
  readonly events: Omit<AnswerEvents, "onNoNews">;
  monotonicMs(): number;
}

export class PeerService {
  readonly #options: PeerServiceOptions;
  readonly #rate = new RequestRate();
  readonly #events: AnswerEvents;
  #members: ReadonlyMap<string, NodeId> = new Map();

  constructor(options: PeerServiceOptions) {
    this.#options = options;
    this.#events = { ...options.events, onNoNews: (peer) => this.#rate.takeMore(peer) };
  }

  /** Only these may ask, each at its own addresses. Who is not among them any more is hung up on at its next request. */
  setMembers(members: Iterable<{ readonly id: NodeId; readonly addresses: readonly IpAddress[] }>): void {
    const byAddress = new Map<string, NodeId>();
    for (const { id, addresses } of members) {
      for (const address of addresses) byAddress.set(formatAddress(address), id);
    }
    this.#members = byAddress;
  }

  memberAt(address: IpAddress): NodeId | undefined {
    return this.#members.get(formatAddress(address));
  }

  /** See `AnswerRequest`. */
  async answer(caller: IpAddress, bytes: Uint8Array): Promise<Uint8Array | undefined> {
    const { shelf, monotonicMs } = this.#options;
    const peer = this.memberAt(caller);
    if (peer === undefined || !this.#rate.take(peer, monotonicMs())) return undefined;
    const request = decodeRequest(bytes);
    const answer = request && answerRequest(shelf, peer, request, this.#events);
    if (answer) return encodeMessage(answer);
    this.#rate.drain(peer, monotonicMs());
    return undefined;
  }
}
