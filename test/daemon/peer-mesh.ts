/** The inside of a mesh, in one process: who reaches whom is what the test says, and every request passes here. */

import { equalAddresses, formatAddress, type IpAddress } from "../../src/base/ip.ts";
import { PeerNews } from "../../src/daemon/peer-api/news.ts";
import type { PeerCall } from "../../src/daemon/peer-api/transport.ts";
import type { Tailnet } from "../../src/daemon/tailnet.ts";

export interface MeshMember {
  readonly tailnet: Tailnet;
}

/** What a peer answers to a request, after `honest` was asked. */
export type Answering = (
  request: Uint8Array,
  honest: () => Promise<Uint8Array | undefined>,
) => Promise<Uint8Array | undefined>;

export class PeerMesh {
  readonly #nodes = new Map<string, { readonly tailnet: Tailnet; readonly news: PeerNews }>();
  readonly #links = new Set<string>();
  readonly #answering = new Map<string, Answering>();
  /** Requests that were made, by the kind that stands in their second byte. */
  readonly requests: {
    readonly from: string;
    readonly to: string;
    readonly kind: number;
    readonly lengthBytes: number;
  }[] = [];
  /** The addresses that were called. */
  readonly called: string[] = [];

  /** Its news service starts here. */
  add({ tailnet }: MeshMember): PeerNews {
    const { selfId } = tailnet;
    const news = new PeerNews({
      tailnet,
      call: async (address) => this.#call(selfId, address),
      isLive: (id) => this.#links.has(linkOf(selfId, id)),
    });
    this.#nodes.set(selfId, { tailnet, news });
    news.start();
    return news;
  }

  /** The machine is switched off. */
  remove({ tailnet }: MeshMember): void {
    this.#nodes.get(tailnet.selfId)?.news.stop();
    this.#nodes.delete(tailnet.selfId);
    for (const link of this.#links) if (link.includes(tailnet.selfId)) this.#links.delete(link);
  }

  /** A tunnel between the two comes up. */
  link(a: MeshMember, b: MeshMember): void {
    const [first, second] = [a.tailnet.selfId, b.tailnet.selfId];
    this.#links.add(linkOf(first, second));
    this.#nodes.get(first)?.news.handleSession(second);
    this.#nodes.get(second)?.news.handleSession(first);
  }

  /** The tunnel is up already, and nobody has to be told. */
  linkQuietly(a: MeshMember, b: MeshMember): void {
    this.#links.add(linkOf(a.tailnet.selfId, b.tailnet.selfId));
  }

  unlink(a: MeshMember, b: MeshMember): void {
    this.#links.delete(linkOf(a.tailnet.selfId, b.tailnet.selfId));
  }

  /** This machine answers otherwise. */
  answerAs({ tailnet }: MeshMember, answering: Answering): void {
    this.#answering.set(tailnet.selfId, answering);
  }

  stop(): void {
    for (const { news } of this.#nodes.values()) news.stop();
  }

  async #call(from: string, address: IpAddress): Promise<PeerCall | undefined> {
    this.called.push(formatAddress(address));
    await new Promise((resolve) => setImmediate(resolve));
    const callee = [...this.#nodes.values()].find(({ tailnet }) => {
      const own = tailnet.self;
      return own && (equalAddresses(own.ipv4, address) || equalAddresses(own.ipv6, address));
    });
    const to = callee?.tailnet.selfId;
    if (!callee || !this.#links.has(linkOf(from, to!))) return undefined;
    const caller = callee.tailnet.state.members.get(from);
    // Without a peer there is no tunnel.
    if (!caller) return undefined;
    let isOpen = true;
    return {
      ask: async (request) => {
        await new Promise((resolve) => setImmediate(resolve));
        if (!isOpen || !this.#links.has(linkOf(from, to!))) return undefined;
        this.requests.push({ from, to: to!, kind: request[1]!, lengthBytes: request.length });
        const honest = () => callee.news.service.answer(caller.ipv4, request);
        const answer = await (this.#answering.get(to!)?.(request, honest) ?? honest());
        if (answer === undefined) isOpen = false;
        return answer;
      },
      close: () => {
        isOpen = false;
      },
    };
  }
}

function linkOf(a: string, b: string): string {
  return [a, b].sort().join(" ");
}
