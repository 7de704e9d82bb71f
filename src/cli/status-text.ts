/** `status` for people. */

import { formatDurationMs } from "../base/duration.ts";
import type { NodeStatus, PathStatus, Status } from "../daemon/api.ts";
import { formatTable, type Output } from "./output.ts";

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** The lines: what runs, the machines, and last what ails it. */
export function formatStatus(status: Status, nowMs: number, colour: Output["colour"]): string[] {
  const lines = formatTable(factRows(status, nowMs));
  const nodes = [...(status.self ? [selfRow(status.self)] : []), ...status.peers.map((peer) => peerRow(peer, nowMs))];
  if (nodes.length > 0) lines.push("", ...formatTable(nodes));
  if (status.health.length > 0) {
    lines.push("", ...status.health.map(({ message, hint }) => colour("yellow", `! ${message}${hint && `; ${hint}`}`)));
  }
  return lines;
}

function factRows({ state, tailnet, registry, dataplane, approval, version }: Status, nowMs: number): string[][] {
  const rows = [["state", `${state}, minitail ${version}`]];
  if (approval) rows.push(["to let it in", `minitail node approve ${approval.code}`], ["its id", approval.nodeId]);
  if (tailnet) rows.push(["tailnet", `${tailnet.name || tailnet.id}, ${tailnet.pool.join(", ")}`]);
  if (registry) {
    const news = registry.lastSyncAt === null ? "no news yet" : `news ${formatAge(registry.lastSyncAt, nowMs)}`;
    rows.push(["registry", `${registry.url}, ${registry.connected ? "connected" : "not connected"}, ${news}`]);
  }
  if (dataplane) {
    rows.push(["packets", [cipherWords(dataplane), `MTU ${dataplane.mtu}`, ...dataplane.offloads].join(", ")]);
  }
  for (const { offload, peer, reason } of dataplane?.offloadsOff ?? []) {
    rows.push(["", `${offload} off${peer === null ? "" : ` for ${peer}`}: ${reason}`]);
  }
  return rows;
}

/** `ring 0.77 µs a packet` */
function cipherWords({ aead, sealMicroseconds }: NonNullable<Status["dataplane"]>): string {
  return typeof sealMicroseconds !== "number" ? aead : `${aead} ${sealMicroseconds.toFixed(2)} µs a packet`;
}

function selfRow(self: NodeStatus): string[] {
  return [self.addresses[0] ?? "", self.name, "this machine"];
}

function peerRow(peer: NodeStatus, nowMs: number): string[] {
  const traffic = `sent ${formatBytes(peer.txBytes)}, received ${formatBytes(peer.rxBytes)}`;
  const seen = peer.lastHandshakeAt ?? peer.lastSeenAt;
  const age = seen === null ? "never seen" : `seen ${formatAge(seen, nowMs)}`;
  return [peer.addresses[0] ?? "", peer.name, pathWord(peer.path), traffic, age];
}

function pathWord(path: PathStatus): string {
  return path.kind === "none" ? "idle" : formatPath(path);
}

/** `direct 192.0.2.7:7411`, `direct 192.0.2.7:7411, MTU 1232`, `relay c`. */
function formatPath({ kind, address, relay, mtu }: PathStatus): string {
  const way = kind === "relay" ? `relay ${relay ?? ""}` : `direct ${address ?? ""}`;
  return typeof mtu === "number" ? `${way}, MTU ${mtu}` : way;
}

/** `1.2 KiB`: powers of 1024, one decimal from the second on. */
export function formatBytes(lengthBytes: number): string {
  let amount = lengthBytes;
  let unit = 0;
  while (amount >= 1024 && unit < UNITS.length - 1) {
    amount /= 1024;
    unit++;
  }
  return `${unit === 0 ? amount : amount.toFixed(1)} ${UNITS[unit]}`;
}

/** `5s ago` */
function formatAge(time: string, nowMs: number): string {
  const ageMs = Math.max(0, nowMs - Date.parse(time));
  return ageMs < 1000 ? "now" : `${formatDurationMs(Math.floor(ageMs / 1000) * 1000)} ago`;
}
