/** Where a datagram came from and to, as recvmsg tells it. */

import type { MessageReceiver } from "bun-ffi-tun";
import { type Endpoint, unmapAddress } from "../base/ip.ts";
import { makeEndpoint } from "./peer-endpoints.ts";

/** In sockaddr_in6: family, port, flow label, address, zone. */
const FLOW_LABEL_OFFSET = 4;
const FLOW_LABEL_END_OFFSET = 8;
const SOCKADDR_IN6_BYTES = 28;

/** The parts of a `MessageReceiver` that tell it. */
export type Received = Pick<MessageReceiver, "source" | "sourceLengthBytes" | "localAddress" | "localAddressBytes">;

/** The source as an endpoint, with the address that it was sent to; `undefined` where there is none (a pair of sockets). */
export function sourceOf(messages: MessageReceiver): Endpoint | undefined {
  const source = messages.sourceEndpoint();
  if (!source) return undefined;
  const endpoint = makeEndpoint(unmapAddress(source.address), source.port, source.scopeId ?? 0);
  const { localAddressBytes } = messages;
  if (localAddressBytes === 0) return endpoint;
  return { ...endpoint, local: unmapAddress(messages.localAddress.slice(0, localAddressBytes)) };
}

/** A copy, to be compared with those that come later without decoding them. */
export class MessageSource {
  readonly #source: Uint8Array;
  readonly #local: Uint8Array;

  constructor({ source, sourceLengthBytes, localAddress, localAddressBytes }: Received) {
    this.#source = source.slice(0, sourceLengthBytes);
    this.#local = localAddress.slice(0, localAddressBytes);
  }

  /** True for the same addresses, port and zone, whatever the flow label. */
  isOf({ source, sourceLengthBytes, localAddress, localAddressBytes }: Received): boolean {
    const own = this.#source;
    const local = this.#local;
    if (own.length !== sourceLengthBytes || local.length !== localAddressBytes) return false;
    const isIpv6 = sourceLengthBytes === SOCKADDR_IN6_BYTES;
    for (let i = 0; i < sourceLengthBytes; i++) {
      const isFlowLabel = isIpv6 && i >= FLOW_LABEL_OFFSET && i < FLOW_LABEL_END_OFFSET;
      if (!isFlowLabel && own[i] !== source[i]) return false;
    }
    for (let i = 0; i < localAddressBytes; i++) if (local[i] !== localAddress[i]) return false;
    return true;
  }
}
