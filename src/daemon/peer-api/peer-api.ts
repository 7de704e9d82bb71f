/** The peer API of a running node: news by TCP through its own tunnel, served on its own addresses inside the mesh. */

import type { Timer } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import type { IpAddress } from "../../base/ip.ts";
import type { HealthItem } from "../api.ts";
import type { Mesh } from "../mesh.ts";
import type { Tailnet } from "../tailnet.ts";
import { PEER_API_PORT } from "./limits.ts";
import { PeerNews } from "./news.ts";
import { callOverTcp } from "./tcp-call.ts";
import { startTcpServer, type TcpServer } from "./tcp-server.ts";

/** Nothing authenticated for so long: no session is left (REJECT_AFTER_TIME). */
const LIVE_WITHIN_MS = 180_000;
/** The port may be taken by a program that ends, or an address not be there yet. */
const SERVE_AGAIN_MS = 5000;

export interface PeerApiOptions {
  readonly tailnet: Tailnet;
  readonly mesh: Mesh;
  readonly interfaceName: string;
  /** Those that the interface really has. */
  readonly addresses: readonly IpAddress[];
}

export class PeerApi {
  readonly #options: PeerApiOptions;
  readonly #news: PeerNews;
  #server: TcpServer | undefined;
  #failure: unknown;
  #again: Timer | undefined;

  constructor(options: PeerApiOptions) {
    const { tailnet, mesh } = options;
    const { clock } = tailnet.context;
    this.#options = options;
    this.#news = new PeerNews({
      tailnet,
      call: (address) => callOverTcp(address, PEER_API_PORT, clock),
      isLive: (id) => mesh.isLive(id, LIVE_WITHIN_MS),
    });
  }

  /** Where the port can't be had, peers are called all the same, and it is tried again now and then. */
  start(): void {
    this.#news.start();
    this.#serve();
  }

  stop(): void {
    this.#again?.cancel();
    this.#news.stop();
    this.#server?.stop();
  }

  /** See `PeerNews.handOver`. */
  handOver(statements: readonly Uint8Array[]): Promise<void> {
    return this.#news.handOver(statements);
  }

  /** WireGuard agreed on a session with the peer in this slot. */
  handleSession(slot: number): void {
    const node = this.#options.mesh.nodeAt(slot);
    if (node) this.#news.handleSession(node.id);
  }

  health(): HealthItem[] {
    if (this.#failure === undefined) return [];
    return [
      {
        code: "peer-api-closed",
        message: `other machines cannot bring news to this one: TCP port ${PEER_API_PORT}: ${errorMessage(this.#failure)}`,
        hint: `end what listens on port ${PEER_API_PORT} of every address; it is tried again by itself`,
      },
    ];
  }

  #serve(): void {
    const { tailnet, interfaceName, addresses } = this.#options;
    const { clock, log } = tailnet.context;
    const { service } = this.#news;
    try {
      this.#server = startTcpServer({
        addresses,
        port: PEER_API_PORT,
        interfaceName,
        clock,
        isMember: (address) => service.memberAt(address) !== undefined,
        answer: (caller, request) => service.answer(caller, request),
      });
      this.#failure = undefined;
    } catch (error) {
      if (this.#failure === undefined) log.warn(`the peer API cannot listen: ${errorMessage(error)}`);
      this.#failure = error;
      this.#again = clock.after(SERVE_AGAIN_MS, () => this.#serve());
    }
  }
}
