/** Calling a peer's API over TCP. The kernel sends it through the tunnel: nobody but the member has the address. */

import { connect, type Socket } from "node:net";
import type { Clock } from "../../base/clock.ts";
import { formatAddress, type IpAddress } from "../../base/ip.ts";
import { encodeFrame, FrameReader } from "./frame.ts";
import { LONGEST_CALL_MS, LONGEST_SILENCE_MS } from "./limits.ts";
import type { PeerCall } from "./transport.ts";

/** A first handshake that was lost is sent again after 5 s (REKEY_TIMEOUT). */
const CONNECTING_LIMIT_MS = 7000;

/** See `CallPeer`. */
export function callOverTcp(address: IpAddress, port: number, clock: Clock): Promise<PeerCall | undefined> {
  const { promise, resolve } = Promise.withResolvers<PeerCall | undefined>();
  const socket = connect({ host: formatAddress(address), port });
  const limit = clock.after(CONNECTING_LIMIT_MS, () => socket.destroy());
  const fail = () => {
    limit.cancel();
    resolve(undefined);
  };
  socket.once("error", fail);
  socket.once("close", fail);
  socket.once("connect", () => {
    limit.cancel();
    resolve(new TcpCall(socket, clock));
  });
  return promise;
}

class TcpCall implements PeerCall {
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #frames = new FrameReader();
  readonly #overAtMs: number;
  #waiting: ((answer: Uint8Array | undefined) => void) | undefined;

  constructor(socket: Socket, clock: Clock) {
    this.#socket = socket;
    this.#clock = clock;
    this.#overAtMs = clock.monotonicMs() + LONGEST_CALL_MS;
    socket.setNoDelay(true);
    socket.on("data", (bytes: Buffer) => this.#handleData(bytes));
    socket.on("error", () => this.close());
    socket.on("close", () => this.#settle(undefined));
  }

  async ask(request: Uint8Array): Promise<Uint8Array | undefined> {
    if (this.#socket.destroyed || this.#waiting) return undefined;
    const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>();
    this.#waiting = resolve;
    const limitMs = Math.min(LONGEST_SILENCE_MS, this.#overAtMs - this.#clock.monotonicMs());
    const limit = this.#clock.after(limitMs, () => this.close());
    this.#socket.write(encodeFrame(request));
    try {
      return await promise;
    } finally {
      limit.cancel();
    }
  }

  close(): void {
    this.#socket.destroy();
    this.#settle(undefined);
  }

  #handleData(bytes: Uint8Array): void {
    const answer = this.#waiting ? this.#frames.push(bytes) : undefined;
    if (answer) this.#settle(answer);
    else if (this.#frames.failed || !this.#waiting) this.close();
  }

  #settle(answer: Uint8Array | undefined): void {
    this.#waiting?.(answer);
    this.#waiting = undefined;
  }
}
