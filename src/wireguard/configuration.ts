/** What an operator (the UAPI) or the netmap asks of a device, and what the device tells of itself. */

import type { Endpoint, IpPrefix } from "../base/ip.ts";

/** Changes to one peer, named by its public key. Absent fields stay as they are. */
export interface PeerConfiguration {
  readonly publicKey: Uint8Array;
  readonly remove?: boolean;
  /**
   * The key that the peer had until now: `publicKey` takes its place, and all that the peer has stays. Its former key
   * is answered as well until a handshake with the new one has succeeded. Of no account where no such peer exists.
   */
  readonly formerPublicKey?: Uint8Array;
  /** Ignore this entry where the peer does not exist yet. */
  readonly updateOnly?: boolean;
  /** 32 bytes; all zero takes the preshared key away. */
  readonly presharedKey?: Uint8Array;
  readonly endpoint?: Endpoint;
  /** 0 turns persistent keepalives off; at most 65535. */
  readonly persistentKeepaliveSeconds?: number;
  readonly replaceAllowedIps?: boolean;
  /** Applied in order. A prefix that another peer holds moves to this one. */
  readonly allowedIps?: readonly AllowedIpChange[];
}

export interface AllowedIpChange {
  readonly prefix: IpPrefix;
  readonly remove?: boolean;
}

export interface DeviceConfiguration {
  /** 32 bytes; all zero takes the private key away. */
  readonly privateKey?: Uint8Array;
  /** With another private key, sessions that were made with the last one live on to their end. */
  readonly keepSessions?: boolean;
  readonly replacePeers?: boolean;
  /** Applied in order. */
  readonly peers?: readonly PeerConfiguration[];
}

/** A peer as it stands. Traffic counters are the data plane's. */
export interface PeerSnapshot {
  readonly slot: number;
  readonly publicKey: Uint8Array;
  readonly presharedKey: Uint8Array | undefined;
  readonly endpoint: Endpoint | undefined;
  readonly persistentKeepaliveSeconds: number;
  /** When a session was last agreed on, in the device's `nowMs`. */
  readonly lastHandshakeMs: number | undefined;
  readonly allowedIps: readonly IpPrefix[];
}

export interface DeviceSnapshot {
  readonly privateKey: Uint8Array | undefined;
  readonly publicKey: Uint8Array | undefined;
  /** In the order in which the peers were added. */
  readonly peers: readonly PeerSnapshot[];
}
