/**
 * The news service of a member: it answers peers that call, calls those that may not have heard, and
 * passes on what it learns. It moves what the parts say from one to the other; `spread.ts` decides.
 */

import { equalBytes } from "../../base/bytes.ts";
import type { Timer } from "../../base/clock.ts";
import type { Member } from "../../trust/chain-state.ts";
import type { NodeId } from "../../trust/identity.ts";
import { decodeStatement } from "../../trust/statement.ts";
import type { StatementBody } from "../../trust/statement-body.ts";
import type { Tailnet } from "../tailnet.ts";
import { exchangeNews } from "./exchange.ts";
import { encodeMessage, type Standing, sameHeads } from "./message.ts";
import { PeerService } from "./peer-service.ts";
import { type CallResult, Spread } from "./spread.ts";
import { TailnetShelf } from "./tailnet-shelf.ts";
import type { CallPeer, PeerCall } from "./transport.ts";

/** A session of WireGuard is over after so long (REJECT_AFTER_TIME): one that begins later brings a tunnel up. */
const TUNNEL_LIVES_MS = 180_000;
/** So long the registry has to answer before peers are sought instead. */
const REGISTRY_GRACE_MS = 3000;
/** What did not answer by then at one address is not tried at the other. */
const REFUSED_AT_ONCE_MS = 1000;
/** Records that change within this time are passed on together. */
const RECORDS_SETTLE_MS = 5000;
const SHORTEST_WAIT_MS = 10;
/** Who goes tells so many peers, which pass it on, and waits so long for them. */
const MOST_HANDED_OVER = 8;
const HAND_OVER_LIMIT_MS = 2000;

/** Every peer is to hear of these at once: somebody does not belong any more, or another branch holds. */
const URGENT: ReadonlySet<StatementBody["kind"]> = new Set([
  "revoke",
  "leave",
  "remove-signer",
  "cancel-join-key",
  "settle",
]);

export interface NewsOptions {
  readonly tailnet: Tailnet;
  readonly call: CallPeer;
  /** True if a tunnel to the peer is up. */
  isLive(id: NodeId): boolean;
}

export class PeerNews {
  /** Answers peers that call. */
  readonly service: PeerService;
  readonly #options: NewsOptions;
  readonly #tailnet: Tailnet;
  readonly #shelf: TailnetShelf;
  readonly #spread: Spread;
  /** When each peer's last session began. */
  readonly #sessionAtMs = new Map<NodeId, number>();
  readonly #calls = new Set<PeerCall>();
  /** Where we stood when the tailnet last changed. */
  #standing: Standing;
  #ownRecordNumber: number | undefined;
  #pump: Timer | undefined;
  #recordsSettle: Timer | undefined;
  #registryGrace: Timer | undefined;
  #stopListening = () => {};
  #stopped = false;

  constructor(options: NewsOptions) {
    const { tailnet } = options;
    this.#options = options;
    this.#tailnet = tailnet;
    this.#shelf = new TailnetShelf(tailnet);
    this.#spread = new Spread(tailnet.selfId, tailnet.context.random);
    this.#standing = this.#shelf.standing();
    this.#ownRecordNumber = tailnet.records.get(tailnet.selfId)?.number;
    this.service = new PeerService({
      shelf: this.#shelf,
      monotonicMs: () => this.#nowMs,
      events: {
        onStanding: (peer, standing) => this.#handleStanding(peer, standing),
        onNews: (peer) => this.#spread.handleHadHeard(peer),
      },
    });
    this.#setPeers();
  }

  start(): void {
    this.#stopListening = this.#tailnet.onChange(() => this.#handleChange());
    const { records } = this.#tailnet;
    const reachable = this.#peers().filter((id) => records.has(id));
    this.#spread.greet(reachable, this.#nowMs);
    this.#run();
  }

  stop(): void {
    this.#stopped = true;
    this.#stopListening();
    for (const timer of [this.#pump, this.#recordsSettle, this.#registryGrace]) timer?.cancel();
    for (const call of this.#calls) call.close();
  }

  /** WireGuard agreed on a session with the peer. */
  handleSession(id: NodeId): void {
    const beforeMs = this.#sessionAtMs.get(id);
    this.#sessionAtMs.set(id, this.#nowMs);
    const isUp = beforeMs === undefined || this.#nowMs - beforeMs > TUNNEL_LIVES_MS;
    this.#spread.handleSession(id, isUp, this.#nowMs);
    this.#run();
  }

  /**
   * Gives statements that stand on our head to some peers whose tunnels are up, and waits a little for them. They do
   * not count here yet: by them this machine may be no member any more, whom no peer answers.
   */
  async handOver(statements: readonly Uint8Array[]): Promise<void> {
    const { clock } = this.#tailnet.context;
    const live = this.#peers().filter((id) => this.#options.isLive(id));
    const giving = Promise.all(live.slice(0, MOST_HANDED_OVER).map((id) => this.#give(id, statements)));
    const { promise, resolve } = Promise.withResolvers<void>();
    const limit = clock.after(HAND_OVER_LIMIT_MS, resolve);
    await Promise.race([giving, promise]);
    limit.cancel();
  }

  async #give(id: NodeId, statements: readonly Uint8Array[]): Promise<void> {
    const peer = this.#tailnet.members.get(id);
    const call = peer && (await this.#connect(peer));
    if (!call) return;
    this.#calls.add(call);
    try {
      const after = this.#tailnet.chain.head;
      // What they stand on, it may lack.
      if (await exchangeNews(call, this.#shelf))
        await call.ask(encodeMessage({ kind: "give-statements", after, statements }));
    } finally {
      this.#calls.delete(call);
      call.close();
    }
  }

  get #nowMs(): number {
    return this.#tailnet.context.clock.monotonicMs();
  }

  #handleChange(): void {
    this.#shelf.handleChange();
    const before = this.#standing;
    this.#standing = this.#shelf.standing();
    if (!sameHeads(before.heads, this.#standing.heads)) {
      this.#setPeers();
      this.#tellHeads(before.heads[0]!.number);
    }
    if (!equalBytes(before.recordsDigest, this.#standing.recordsDigest)) this.#handleRecords();
    this.#run();
  }

  #tellHeads(numberBefore: number): void {
    const ours = this.#ownStatements(numberBefore);
    const live = this.#peers().filter((id) => this.#options.isLive(id));
    if (ours.some((kind) => URGENT.has(kind))) {
      const others = this.#peers().filter((id) => !live.includes(id));
      this.#spread.handleRemovalByUs(live, others, this.#nowMs);
    }
    // What the registry told us it told the others too.
    const urgency = ours.length > 0 || this.#shelf.isTaking ? "now" : "soon";
    this.#spread.handleNews(live, urgency, this.#nowMs);
  }

  /** The kinds of the statements after this number that are ours. */
  #ownStatements(numberBefore: number): StatementBody["kind"][] {
    const { chain, signingKeys } = this.#tailnet;
    return chain.statements
      .slice(numberBefore + 1)
      .map((bytes) => decodeStatement(bytes)!)
      .filter(({ author }) => signingKeys.some(({ publicKey }) => equalBytes(publicKey, author)))
      .map(({ body }) => body.kind);
  }

  /** The registry passes records on; without it we do. */
  #handleRecords(): void {
    const { clock } = this.#tailnet.context;
    const ownNumber = this.#tailnet.records.get(this.#tailnet.selfId)?.number;
    if (ownNumber !== this.#ownRecordNumber) {
      this.#ownRecordNumber = ownNumber;
      this.#registryGrace?.cancel();
      this.#registryGrace = clock.after(REGISTRY_GRACE_MS, () => this.#seekWithoutRegistry());
    }
    if (this.#tailnet.connected) return;
    this.#recordsSettle ??= clock.after(RECORDS_SETTLE_MS, () => {
      this.#recordsSettle = undefined;
      if (this.#tailnet.connected) return;
      const live = this.#peers().filter((id) => this.#options.isLive(id));
      this.#spread.handleNews(live, "now", this.#nowMs);
      this.#run();
    });
  }

  /** We may be where no peer looks for us: it is for us to find them. */
  #seekWithoutRegistry(): void {
    if (this.#tailnet.connected) return;
    this.#spread.seek(this.#peers(), this.#nowMs);
    this.#run();
  }

  #handleStanding(peer: NodeId, standing: Standing): void {
    if (isSame(standing, this.#shelf.standing())) this.#spread.handleHadHeard(peer);
    // Who calls gives all but a network key: it is fetched by whom it is for.
    if (this.#shelf.wantsBox(standing.epoch)) this.#spread.handleNews([peer], "now", this.#nowMs);
    this.#run();
  }

  #run(): void {
    if (this.#stopped || !this.#tailnet.self) return;
    if (this.#tailnet.connected) this.#spread.seek([], this.#nowMs);
    for (const id of this.#spread.takeCalls(this.#nowMs)) void this.#callPeer(id);
    this.#pump?.cancel();
    const nextMs = this.#spread.nextCallMs();
    if (nextMs === undefined) return;
    const waitMs = Math.max(nextMs - this.#nowMs, SHORTEST_WAIT_MS);
    this.#pump = this.#tailnet.context.clock.after(waitMs, () => this.#run());
  }

  async #callPeer(id: NodeId): Promise<void> {
    const result = await this.#converse(id);
    this.#spread.handleResult(id, result, this.#nowMs);
    this.#run();
  }

  async #converse(id: NodeId): Promise<CallResult> {
    const peer = this.#tailnet.members.get(id);
    const call = peer && (await this.#connect(peer));
    if (!call) return "not-reached";
    this.#calls.add(call);
    try {
      const result = this.#stopped ? undefined : await exchangeNews(call, this.#shelf);
      if (!result) return "not-reached";
      if (isSame(result.standing, this.#shelf.standing())) this.#spread.handleHadHeard(id);
      return result.gave ? "took-news" : "had-heard";
    } finally {
      this.#calls.delete(call);
      call.close();
    }
  }

  async #connect({ ipv4, ipv6 }: Member): Promise<PeerCall | undefined> {
    const beganAtMs = this.#nowMs;
    const call = await this.#options.call(ipv4);
    if (call || this.#nowMs - beganAtMs > REFUSED_AT_ONCE_MS) return call;
    return await this.#options.call(ipv6);
  }

  #setPeers(): void {
    const { members } = this.#tailnet;
    const peers = this.#peers();
    this.#spread.setPeers(new Set(peers));
    this.service.setMembers(
      peers.map((id) => members.get(id)!).map(({ id, ipv4, ipv6 }) => ({ id, addresses: [ipv4, ipv6] })),
    );
  }

  /** All members but this machine. */
  #peers(): NodeId[] {
    return [...this.#tailnet.members.keys()].filter((id) => id !== this.#tailnet.selfId);
  }
}

function isSame(a: Standing, b: Standing): boolean {
  return sameHeads(a.heads, b.heads) && equalBytes(a.recordsDigest, b.recordsDigest);
}
