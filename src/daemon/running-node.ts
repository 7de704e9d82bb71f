/** A node that is a member and carries packets: its parts, and what the local API asks of them. */

import { equalBytes, formatBase64 } from "../base/bytes.ts";
import { systemClock } from "../base/clock.ts";
import { MinitailError } from "../base/errors.ts";
import { type Endpoint, formatAddress } from "../base/ip.ts";
import { systemRandom } from "../crypto/random.ts";
import { machineAddresses } from "../host/interface.ts";
import type { Netmap, NetmapNode } from "../netmap/netmap.ts";
import { localEndpoints } from "../path/local-endpoints.ts";
import type { RegistryPlace } from "../trust/registry-place.ts";
import { ICMP_HEADER_LENGTH_BYTES } from "../wire/icmp.ts";
import { IPV4_HEADER_LENGTH_BYTES } from "../wire/ip.ts";
import type { RegistryState } from "./api.ts";
import type { CreatedKey, CreateKeyRequest } from "./calls/create-join-key.ts";
import type { ApprovedNode, ApproveRequest } from "./calls/node-approve.ts";
import { largestPingBytes, type PingReply, type PingRequest, SMALLEST_PING_BYTES } from "./calls/ping.ts";
import type { RegistryStatus } from "./calls/registry-status.ts";
import type { RemoveNodeReply, RemoveNodeRequest } from "./calls/remove-node.ts";
import type { RotatedNodeKey } from "./calls/rotate-node-key.ts";
import type { SetExpiryReply, SetExpiryRequest } from "./calls/set-expiry.ts";
import { approveMachine } from "./decide/approve-machine.ts";
import { createJoinKey } from "./decide/create-join-key.ts";
import { leave } from "./decide/leave.ts";
import { removeNode } from "./decide/remove-node.ts";
import { setExpiry } from "./decide/set-expiry.ts";
import type { EchoClient } from "./echo.ts";
import type { InterfaceUpkeep } from "./interface-upkeep.ts";
import { listedKey } from "./key-list.ts";
import type { Membership } from "./membership.ts";
import type { Mesh, MeshPeer } from "./mesh.ts";
import { NodeKeyRotation } from "./node-key-rotation.ts";
import type { PeerApi } from "./peer-api/peer-api.ts";
import { type RegistryAddress, urlsToGive } from "./registry-connection.ts";
import { readServingCapability, servingCapability } from "./registry-serving.ts";
import type { Settings } from "./settings.ts";
import { formatTime, pathStatus } from "./status.ts";
import { Steward } from "./steward.ts";
import type { Tunnel } from "./tunnel.ts";

/** Of IPv4 and ICMP. */
const ECHO_HEADERS_BYTES = IPV4_HEADER_LENGTH_BYTES + ICMP_HEADER_LENGTH_BYTES;

/** What a machine without any other address is reached at, from itself. */
const LOOPBACK: Endpoint = { address: new Uint8Array([127, 0, 0, 1]), port: 0 };

export interface NodeParts {
  readonly settings: Settings;
  readonly membership: Membership;
  readonly tunnel: Tunnel;
  /** The tunnel's, in the kernel. */
  readonly ownInterface: InterfaceUpkeep;
  readonly mesh: Mesh;
  readonly echo: EchoClient;
  readonly peerApi: PeerApi;
  /** UDP port of packets, chosen by the system where 0 was asked for. */
  readonly port: number;
}

export class RunningNode {
  readonly parts: NodeParts;
  /** Where this machine can be reached, as it was last published. */
  endpoints: readonly Endpoint[] = [];
  /** Of the last echo of each peer, by node id. */
  readonly latenciesMs = new Map<string, number>();

  readonly nodeKeyRotation: NodeKeyRotation;
  readonly steward: Steward;

  constructor(parts: NodeParts) {
    this.parts = parts;
    const { nodeKey } = parts.membership;
    this.nodeKeyRotation = new NodeKeyRotation({
      nodeKey,
      clock: systemClock,
      random: systemRandom,
      publish: (publicKey) => this.publishRecord(publicKey),
      use: ({ privateKey }) => parts.tunnel.configure({ privateKey, keepSessions: true }),
    });
    const { tailnet } = parts.membership;
    this.steward = new Steward({ tailnet, clock: systemClock, random: systemRandom, log: tailnet.context.log });
  }

  /**
   * Publishes where this machine can be reached, and by which node key. Nothing is written where the last record says
   * the same; false where the registry could not be told.
   */
  async publishRecord(nodeKey = this.parts.membership.nodeKey.current.publicKey): Promise<boolean> {
    const { membership, settings, port } = this.parts;
    this.endpoints = localEndpoints(machineAddresses(), port, settings.interfaceName);
    return await membership.tailnet.publishRecord({
      nodeKey,
      endpoints: this.endpoints,
      homeRelay: undefined,
      routes: [],
      capabilities: membership.embedded ? [servingCapability(membership.embedded)] : [],
    });
  }

  get netmap(): Netmap {
    return this.parts.mesh.netmap!;
  }

  /** One echo through the tunnel. Throws `no-such-peer`, or `usage` for this machine itself and sizes that do not fit. */
  async ping(request: PingRequest): Promise<PingReply> {
    const { mesh, echo, settings } = this.parts;
    const { node } = this.#findPeer(request.peer);
    const { sizeBytes, timeoutMs } = request;
    const largestBytes = largestPingBytes(settings.mtuBytes);
    if (!Number.isInteger(sizeBytes) || sizeBytes < SMALLEST_PING_BYTES || sizeBytes > largestBytes) {
      const limits = `${SMALLEST_PING_BYTES} to ${largestBytes} bytes with the MTU of ${settings.mtuBytes}`;
      throw new MinitailError("usage", `a ping carries ${limits}`);
    }
    const family = request.peer.includes(":") ? 1 : 0;
    const destination = node.addresses[family];
    const latencyMs = await echo.echo(this.netmap.self.addresses[family], destination, sizeBytes, timeoutMs);
    if (latencyMs !== undefined) this.latenciesMs.set(node.id, latencyMs);
    const now = mesh.peers().find((peer) => peer.node.id === node.id);
    return {
      peer: { name: node.name, address: formatAddress(destination) },
      path: pathStatus(now ?? { node, tunnelPeer: undefined }, this.parts, latencyMs),
      latencyMs: latencyMs ?? null,
    };
  }

  /** See `ProbedPeers.probe`. */
  probePath(slot: number, packetBytes: number, onAnswer: () => void): (() => void) | undefined {
    const { mesh, echo } = this.parts;
    const node = mesh.nodeAt(slot);
    // Of IPv4: those are not answered as too big themselves, as they may be cut.
    const [source, destination] = [this.netmap.self.addresses[0], node?.addresses[0]];
    return destination && echo.request(source, destination, packetBytes - ECHO_HEADERS_BYTES, onAnswer);
  }

  /** Throws `not-signer` where this machine may not admit others. */
  async createKey(request: CreateKeyRequest): Promise<CreatedKey> {
    const { reusable, ephemeral, tags, user, expiresInMs } = request;
    const created = await createJoinKey(this.parts.membership.tailnet, {
      reusable,
      expiresAtMs: Date.now() + expiresInMs,
      terms: { user, tags, ephemeral, memberUntilMs: 0 },
      registries: this.#registriesForNewcomers(),
    });
    return { id: created.id, key: created.key, expiresAt: formatTime(created.expiresAtMs) };
  }

  /** Lets in the machine that asks with this code. Throws what `approveMachine` throws. */
  async approve({ code, id, tags, user, ephemeral }: ApproveRequest): Promise<ApprovedNode> {
    const member = await approveMachine(this.parts.membership.tailnet, {
      code,
      id,
      terms: { user, tags, ephemeral, memberUntilMs: 0 },
      registries: this.#registriesForNewcomers(),
    });
    return { id, name: member.name, addresses: [member.ipv4, member.ipv6].map(formatAddress) };
  }

  /** Throws `not-signer`, `no-such-peer`, or `usage` for this machine itself. */
  async removeNode(request: RemoveNodeRequest): Promise<RemoveNodeReply> {
    const { tailnet, registryHome } = this.parts.membership;
    const { removed, joinKeysLeft } = await removeNode(tailnet, request);
    const pins = removed.flatMap(
      ({ id }) => readServingCapability(tailnet.records.get(id)?.capabilities ?? [])?.pin ?? [],
    );
    const isFollowed = (pin: Uint8Array) =>
      registryHome.addresses.some((each) => each.pin && equalBytes(each.pin, pin));
    const { registryToken } = tailnet.epochSecret;
    return {
      removed,
      joinKeysLeft: joinKeysLeft.map((key) => listedKey(tailnet, key)),
      changeTokenByHand: registryHome.addresses.some(({ token }) => token !== registryToken),
      servesRegistry: pins.some(isFollowed),
      secretStillAdmits: tailnet.secretSigner !== undefined,
    };
  }

  /** Throws `not-signer` or `no-such-peer`. */
  async setExpiry({ node, endsInMs }: SetExpiryRequest): Promise<SetExpiryReply> {
    const expiresAtMs = endsInMs === null ? 0 : Date.now() + endsInMs;
    const { id, name } = await setExpiry(this.parts.membership.tailnet, node, expiresAtMs);
    return { id, name, keyExpiresAt: expiresAtMs === 0 ? null : formatTime(expiresAtMs) };
  }

  /** Throws `usage` where others would be left without what only this machine has, and what `leave` throws. */
  async leave(force: boolean): Promise<void> {
    const { tailnet, registryHome } = this.parts.membership;
    if (!force && registryHome.servesOwn && tailnet.state.members.size > 1 && tailnet.self) {
      throw new MinitailError("usage", "this machine serves the registry of the others", {
        hint: "move it first with minitail registry move URL, or give --force",
      });
    }
    await leave(tailnet, { force, handOver: (statements) => this.parts.peerApi.handOver(statements) });
  }

  /** Another WireGuard key now. Throws `registry-unreachable` where nobody could be told. */
  async rotateNodeKey(): Promise<RotatedNodeKey> {
    await this.nodeKeyRotation.rotate();
    return { nodeKey: formatBase64(this.parts.membership.nodeKey.current.publicKey) };
  }

  registryState(): RegistryState {
    const { registry, tailnet } = this.parts.membership;
    const { lastSyncAtMs } = tailnet;
    return {
      url: registry.url,
      connected: tailnet.connected,
      lastSyncAt: lastSyncAtMs === undefined ? null : formatTime(lastSyncAtMs),
      commandsSent: registry.commandsSent,
    };
  }

  registryStatus(): RegistryStatus {
    const { tailnet, embedded, registryHome } = this.parts.membership;
    return {
      ...this.registryState(),
      embedded: registryHome.servesOwn,
      served: embedded?.statistics() ?? null,
      joinUrls: this.#addressesForNewcomers().flatMap(urlsToGive),
      tailnetId: tailnet.id,
      chainLength: tailnet.chain.statements.length,
      records: tailnet.records.size,
    };
  }

  #addressesForNewcomers(): readonly RegistryAddress[] {
    const reachableAt = this.endpoints.length > 0 ? this.endpoints : [LOOPBACK];
    return this.parts.membership.registryHome.addressesFor(reachableAt);
  }

  #registriesForNewcomers(): RegistryPlace[] {
    return this.#addressesForNewcomers().map(({ urls, token, pin }) => ({ urls, token: token ?? "", pin }));
  }

  /** By name, DNS name, address or node id. */
  #findPeer(text: string): MeshPeer {
    const wanted = text.toLowerCase();
    const isMeant = (node: NetmapNode) =>
      [node.id, node.name, node.dnsName, ...node.addresses.map(formatAddress)].includes(wanted);
    const peer = this.parts.mesh.peers().find(({ node }) => isMeant(node));
    if (peer) return peer;
    if (isMeant(this.netmap.self)) throw new MinitailError("usage", `${text} is this machine itself`);
    throw new MinitailError("no-such-peer", `no machine of the tailnet is called ${text}`, {
      hint: "minitail status lists them",
    });
  }
}
