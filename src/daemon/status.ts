/** What `status` shows, put together from the tailnet, the mesh and the tunnel. */

import { boottimeMs } from "bun-ffi-tun";
import { formatBase64 } from "../base/bytes.ts";
import { formatAddress, formatEndpoint, formatPrefix } from "../base/ip.ts";
import { VERSION } from "../base/version.ts";
import type { Netmap, NetmapNode } from "../netmap/netmap.ts";
import { formatTailnetId } from "../trust/identity.ts";
import type { DaemonState, HealthItem, NodeStatus, PathStatus, Status } from "./api.ts";
import type { ShownApproval } from "./approval-intent.ts";
import { cipherSpeed } from "./cipher-speed.ts";
import type { MeshPeer } from "./mesh.ts";
import type { NodeParts, RunningNode } from "./running-node.ts";

/**
 * A peer that nothing authenticated came from for so long has no path: sessions end after 180 s
 * (REJECT_AFTER_TIME) and a peer in use answers within 10 s.
 */
const PATH_LIVES_MS = 180_000;

/** `node` is `undefined` while the daemon starts. */
export function makeStatus(
  state: DaemonState,
  node: RunningNode | undefined,
  asking: ShownApproval | undefined,
  health: readonly HealthItem[],
): Status {
  const approval = asking ? approvalStatus(asking) : null;
  if (!node) {
    const nothing = { tailnet: null, self: null, peers: [], registry: null, dataplane: null };
    return { version: VERSION, state, ...nothing, approval, health };
  }
  const { tunnel, mesh, settings } = node.parts;
  const speed = cipherSpeed(tunnel.aead);
  return {
    version: VERSION,
    state,
    tailnet: tailnetStatus(node.netmap),
    self: selfStatus(node.netmap.self),
    peers: mesh.peers().map((peer) => peerStatus(peer, node)),
    registry: node.registryState(),
    dataplane: {
      aead: tunnel.aead,
      sealMicroseconds: speed?.sealMicroseconds ?? null,
      openMicroseconds: speed?.openMicroseconds ?? null,
      offloads: tunnel.offloads,
      offloadsOff: offloadsOff(node),
      mtu: settings.mtuBytes,
    },
    approval,
    health,
  };
}

function approvalStatus({ code, nodeId, expiresAtMs }: ShownApproval): NonNullable<Status["approval"]> {
  return { code, nodeId, expiresAt: formatTime(expiresAtMs) };
}

function offloadsOff({ parts }: RunningNode): NonNullable<Status["dataplane"]>["offloadsOff"] {
  const { tunnel, mesh } = parts;
  const off = tunnel.offloadsOff;
  const peers = off.some(({ slot }) => slot !== undefined) ? mesh.peers() : [];
  const nameOf = (slot: number) => peers.find(({ tunnelPeer }) => tunnelPeer?.slot === slot)?.node.name;
  return off.map(({ offload, reason, slot }) => ({
    offload,
    peer: slot === undefined ? null : (nameOf(slot) ?? ""),
    reason,
  }));
}

/** How packets to a member travel now. */
export function pathStatus(
  { tunnelPeer }: MeshPeer,
  { mesh, tunnel }: Pick<NodeParts, "mesh" | "tunnel">,
  latencyMs: number | undefined,
): PathStatus {
  const endpoint = tunnelPeer?.endpoint;
  const isDirect = endpoint !== undefined && mesh.heardFrom(tunnelPeer!.slot, PATH_LIVES_MS);
  return {
    kind: isDirect ? "direct" : "none",
    address: isDirect ? formatEndpoint(endpoint) : null,
    relay: null,
    latencyMs: isDirect ? (latencyMs ?? null) : null,
    mtu: isDirect ? tunnel.packetLimitBytes(tunnelPeer!.slot) || null : null,
  };
}

function tailnetStatus(netmap: Netmap): NonNullable<Status["tailnet"]> {
  return {
    id: formatTailnetId(netmap.tailnetId),
    name: netmap.tailnetName,
    pool: netmap.pool.map(formatPrefix),
    suffix: netmap.suffix,
  };
}

function selfStatus(node: NetmapNode): NodeStatus {
  return { ...nodeStatus(node), online: true };
}

function peerStatus(peer: MeshPeer, { parts, latenciesMs }: RunningNode): NodeStatus {
  const { node, tunnelPeer } = peer;
  const { tunnel } = parts;
  if (!tunnelPeer) return nodeStatus(node);
  const traffic = tunnel.traffic(tunnelPeer.slot);
  const lastReceivedMs = tunnel.lastReceivedMs(tunnelPeer.slot);
  const path = pathStatus(peer, parts, latenciesMs.get(node.id));
  return {
    ...nodeStatus(node),
    online: path.kind === "direct" ? true : null,
    lastSeenAt: lastReceivedMs === 0 ? null : formatMonotonic(lastReceivedMs),
    path,
    txBytes: traffic.txBytes,
    rxBytes: traffic.rxBytes,
    lastHandshakeAt: tunnelPeer.lastHandshakeMs === undefined ? null : formatMonotonic(tunnelPeer.lastHandshakeMs),
    allowedIPs: tunnelPeer.allowedIps.map(formatPrefix),
  };
}

function nodeStatus(node: NetmapNode): NodeStatus {
  return {
    id: node.id,
    name: node.name,
    dnsName: node.dnsName,
    addresses: node.addresses.map(formatAddress),
    nodeKey: node.nodeKey ? formatBase64(node.nodeKey) : "",
    tags: node.tags,
    user: node.user,
    online: null,
    lastSeenAt: null,
    endpoints: node.endpoints.map(formatEndpoint),
    path: { kind: "none", address: null, relay: null, latencyMs: null, mtu: null },
    txBytes: 0,
    rxBytes: 0,
    lastHandshakeAt: null,
    allowedIPs: [],
    routes: node.routes.map(formatPrefix),
    exitNode: false,
    exitNodeOption: false,
    keyExpiresAt: node.keyExpiresAtMs === undefined ? null : formatTime(node.keyExpiresAtMs),
  };
}

/** The last that RFC 3339 can write. Times that others claim may be any number. */
const LAST_TIME_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/** RFC 3339, of Unix time. */
export function formatTime(unixMs: number): string {
  return new Date(Math.min(unixMs, LAST_TIME_MS)).toISOString();
}

function formatMonotonic(atMs: number): string {
  return formatTime(Date.now() - (boottimeMs() - atMs));
}
