/**
 * The netmap made into tunnels: each member with a known node key is a WireGuard peer that may send from
 * its own addresses. This also remembers where each may be reached, until a path is proven.
 */

import { boottimeMs } from "bun-ffi-tun";
import { equalBytes, formatHex } from "../base/bytes.ts";
import { type Endpoint, hostPrefix } from "../base/ip.ts";
import { diffNetmaps } from "../netmap/diff.ts";
import type { Netmap, NetmapNode } from "../netmap/netmap.ts";
import { chooseEndpoints, sameEndpoints } from "../path/endpoint-choice.ts";
import { type NodeId, tailnetIpv6Prefix } from "../trust/identity.ts";
import type { PeerConfiguration, PeerSnapshot } from "../wireguard/configuration.ts";
import type { Tunnel } from "./tunnel.ts";

/** A member together with what its tunnel knows of it. */
export interface MeshPeer {
  readonly node: NetmapNode;
  /** `undefined` until the member's node key is known. */
  readonly tunnelPeer: PeerSnapshot | undefined;
}

export class Mesh {
  readonly #tunnel: Tunnel;
  #netmap: Netmap | undefined;
  /** Nodes by node key in hexadecimal. */
  #nodesByKey = new Map<string, NetmapNode>();
  /** Node keys in hexadecimal, by slot. */
  #keysBySlot = new Map<number, string>();
  #slotsById = new Map<NodeId, number>();

  constructor(tunnel: Tunnel) {
    this.#tunnel = tunnel;
  }

  get netmap(): Netmap | undefined {
    return this.#netmap;
  }

  /** Makes the tunnels what `netmap` says; what stays the same is not touched. */
  setNetmap(netmap: Netmap): void {
    const diff = diffNetmaps(this.#netmap, netmap);
    this.#netmap = netmap;
    this.#tunnel.setInsidePrefixes([...netmap.pool, tailnetIpv6Prefix(netmap.tailnetId)]);
    this.#nodesByKey = new Map(
      netmap.peers.flatMap((node) => (node.nodeKey ? [[formatHex(node.nodeKey), node] as const] : [])),
    );
    const peers: PeerConfiguration[] = [
      ...diff.removed.flatMap(removal),
      ...diff.changed.flatMap(({ before, after }) => (after.nodeKey ? [] : removal(before))),
      ...diff.added.flatMap((node) => addition(node, undefined)),
      ...diff.changed.flatMap(({ before, after }) => addition(after, before.nodeKey)),
    ];
    if (peers.length > 0) this.#tunnel.configure({ peers });
    this.#readSlots();
    for (const { before, after } of diff.changed) {
      if (!sameEndpoints(before.endpoints, after.endpoints)) this.#tryAgain(after);
    }
    for (const node of diff.added) this.#tryAgain(node);
  }

  /** This machine belongs no more: it has no tunnels. */
  cutOff(): void {
    if (this.#netmap) this.setNetmap({ ...this.#netmap, peers: [] });
  }

  /** See `ChooseEndpoints` of the tunnel. */
  readonly chooseEndpoints = (slot: number, current: Endpoint | undefined, nowMs: number): readonly Endpoint[] => {
    const node = this.nodeAt(slot);
    const lastReceivedMs = this.#tunnel.lastReceivedMs(slot);
    return chooseEndpoints(current, node?.endpoints ?? [], lastReceivedMs === 0 ? undefined : lastReceivedMs, nowMs);
  };

  /** The member whose tunnel has this slot. */
  nodeAt(slot: number): NetmapNode | undefined {
    return this.#nodesByKey.get(this.#keysBySlot.get(slot) ?? "");
  }

  /** True if an authenticated packet came from this member within `withinMs`. */
  isLive(id: NodeId, withinMs: number): boolean {
    const slot = this.#slotsById.get(id);
    return slot !== undefined && this.heardFrom(slot, withinMs);
  }

  /** All members but this machine, in the order in which they joined. */
  peers(): readonly MeshPeer[] {
    const snapshots = new Map(this.#tunnel.snapshot().peers.map((peer) => [formatHex(peer.publicKey), peer]));
    return (this.#netmap?.peers ?? []).map((node) => ({
      node,
      tunnelPeer: node.nodeKey && snapshots.get(formatHex(node.nodeKey)),
    }));
  }

  /** True if an authenticated packet came from the peer within `withinMs`. */
  heardFrom(slot: number, withinMs: number): boolean {
    const lastReceivedMs = this.#tunnel.lastReceivedMs(slot);
    return lastReceivedMs !== 0 && boottimeMs() - lastReceivedMs < withinMs;
  }

  /** A handshake that waits for this peer goes out again at once, to where it is now. */
  #tryAgain(node: NetmapNode): void {
    const slot = this.#slotsById.get(node.id);
    if (slot !== undefined) this.#tunnel.restartHandshake(slot);
  }

  #readSlots(): void {
    this.#keysBySlot = new Map(
      this.#tunnel.snapshot().peers.map(({ slot, publicKey }) => [slot, formatHex(publicKey)]),
    );
    this.#slotsById = new Map(
      [...this.#keysBySlot.keys()].flatMap((slot) => {
        const node = this.nodeAt(slot);
        return node ? [[node.id, slot] as const] : [];
      }),
    );
  }
}

function removal(node: NetmapNode): readonly PeerConfiguration[] {
  return node.nodeKey ? [{ publicKey: node.nodeKey, remove: true }] : [];
}

/** A machine that has another key than before keeps its tunnel and the sessions in it. */
function addition(node: NetmapNode, formerPublicKey: Uint8Array | undefined): readonly PeerConfiguration[] {
  const { nodeKey: publicKey } = node;
  if (!publicKey) return [];
  const allowedIps = node.addresses.map((address) => ({ prefix: hostPrefix(address) }));
  const isRotated = formerPublicKey !== undefined && !equalBytes(formerPublicKey, publicKey);
  return [{ publicKey, ...(isRotated ? { formerPublicKey } : {}), replaceAllowedIps: true, allowedIps }];
}
