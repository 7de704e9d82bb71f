/** The answer to `get` of WireGuard's configuration protocol (https://www.wireguard.com/xplatform/#configuration-protocol). */

import { formatHex } from "../base/bytes.ts";
import { formatEndpoint, formatPrefix } from "../base/ip.ts";
import { KEY_LENGTH_BYTES } from "../base/key.ts";
import type { PeerSnapshot } from "../wireguard/configuration.ts";
import type { UapiState } from "./device.ts";

const NO_KEY = new Uint8Array(KEY_LENGTH_BYTES);

/** Lines of `key=value`, without the `errno` that ends the answer. */
export function formatGet(state: UapiState): string {
  const { snapshot, listenPort, fwmark } = state;
  const lines: string[] = [];
  if (snapshot.privateKey) lines.push(`private_key=${formatHex(snapshot.privateKey)}`);
  if (listenPort !== 0) lines.push(`listen_port=${listenPort}`);
  if (fwmark !== 0) lines.push(`fwmark=${fwmark}`);
  for (const peer of snapshot.peers) pushPeer(lines, peer, state);
  return lines.map((line) => `${line}\n`).join("");
}

function pushPeer(lines: string[], peer: PeerSnapshot, state: UapiState): void {
  const { txBytes, rxBytes } = state.traffic(peer.slot);
  const { seconds, nanoseconds } = unixTime(peer.lastHandshakeMs, state.unixOffsetMs);
  lines.push(`public_key=${formatHex(peer.publicKey)}`);
  lines.push(`preshared_key=${formatHex(peer.presharedKey ?? NO_KEY)}`);
  lines.push("protocol_version=1");
  if (peer.endpoint) lines.push(`endpoint=${formatEndpoint(peer.endpoint)}`);
  lines.push(`last_handshake_time_sec=${seconds}`);
  lines.push(`last_handshake_time_nsec=${nanoseconds}`);
  lines.push(`tx_bytes=${txBytes}`);
  lines.push(`rx_bytes=${rxBytes}`);
  lines.push(`persistent_keepalive_interval=${peer.persistentKeepaliveSeconds}`);
  for (const prefix of peer.allowedIps) lines.push(`allowed_ip=${formatPrefix(prefix)}`);
}

/** Both 0 where there was no handshake. */
function unixTime(deviceMs: number | undefined, unixOffsetMs: number): { seconds: number; nanoseconds: number } {
  if (deviceMs === undefined) return { seconds: 0, nanoseconds: 0 };
  const unixMs = Math.max(0, Math.floor(deviceMs + unixOffsetMs));
  return { seconds: Math.floor(unixMs / 1000), nanoseconds: (unixMs % 1000) * 1_000_000 };
}
