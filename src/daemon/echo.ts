/** Echo requests that the daemon sends through the tunnel by itself, and their replies. */

import { boottimeMs } from "bun-ffi-tun";
import { formatHex } from "../base/bytes.ts";
import type { IpAddress } from "../base/ip.ts";
import { systemRandom } from "../crypto/random.ts";
import { echoReplyToken, encodeEchoRequest } from "../wire/icmp.ts";

export class EchoClient {
  readonly #send: (packet: Uint8Array) => void;
  readonly #waiting = new Map<string, (nowMs: number) => void>();
  #sequence = 0;

  /** `send` puts an IP packet into the tunnel. */
  constructor(send: (packet: Uint8Array) => void) {
    this.#send = send;
  }

  /** The time until the reply of `destination` in milliseconds, `undefined` where none came in time. */
  async echo(
    source: IpAddress,
    destination: IpAddress,
    dataBytes: number,
    timeoutMs: number,
  ): Promise<number | undefined> {
    const { promise, resolve } = Promise.withResolvers<number | undefined>();
    const startMs = boottimeMs();
    const limit = setTimeout(() => resolve(undefined), timeoutMs);
    const forget = this.request(source, destination, dataBytes, (nowMs) => resolve(nowMs - startMs));
    try {
      return await promise;
    } finally {
      clearTimeout(limit);
      forget();
    }
  }

  /** Calls `onReply` with the time of `boottimeMs` for a reply of `destination`, until what this answers is called. */
  request(source: IpAddress, destination: IpAddress, dataBytes: number, onReply: (nowMs: number) => void): () => void {
    const token = systemRandom(8);
    const name = formatHex(token);
    this.#sequence = (this.#sequence + 1) & 0xffff;
    const sequence = this.#sequence;
    const packet = encodeEchoRequest({ source, destination, identifier: 0, sequence, token, dataBytes });
    this.#waiting.set(name, onReply);
    this.#send(packet);
    return () => void this.#waiting.delete(name);
  }

  /** An echo reply from the tunnel; one that nobody waits for is dropped. */
  handleReply(packet: Uint8Array): void {
    this.#waiting.get(formatHex(echoReplyToken(packet)))?.(boottimeMs());
  }
}
