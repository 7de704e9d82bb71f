/** Echo requests that the daemon sends through the tunnel by itself, and their replies. */

import { boottimeMs } from "bun-ffi-tun";
import { formatHex } from "../base/bytes.ts";
import type { IpAddress } from "../base/ip.ts";
import { systemRandom } from "../crypto/random.ts";
import { echoReplyToken, encodeEchoRequest } from "../wire/icmp.ts";

export class EchoClient {
  readonly #send: (packet: Uint8Array) => void;
  readonly #waiting = new Map<string, (latencyMs: number) => void>();
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
    const token = systemRandom(8);
    const name = formatHex(token);
    this.#sequence = (this.#sequence + 1) & 0xffff;
    const packet = encodeEchoRequest({
      source,
      destination,
      identifier: 0,
      sequence: this.#sequence,
      token,
      dataBytes,
    });
    const { promise, resolve } = Promise.withResolvers<number | undefined>();
    const startMs = boottimeMs();
    const limit = setTimeout(() => resolve(undefined), timeoutMs);
    this.#waiting.set(name, (nowMs) => resolve(nowMs - startMs));
    this.#send(packet);
    try {
      return await promise;
    } finally {
      clearTimeout(limit);
      this.#waiting.delete(name);
    }
  }

  /** An echo reply from the tunnel; one that nobody waits for is dropped. */
  handleReply(packet: Uint8Array): void {
    this.#waiting.get(formatHex(echoReplyToken(packet)))?.(boottimeMs());
  }
}
