/** What the configuration protocol needs of a tunnel. */

import type { DeviceConfiguration, DeviceSnapshot } from "../wireguard/configuration.ts";

/** One `set`, parsed whole. Absent fields stay as they are. */
export interface UapiChange {
  readonly configuration: DeviceConfiguration;
  /** 0 lets the system choose. */
  readonly listenPort?: number;
  /** 0 takes the mark away; at most 2^32 - 1. */
  readonly fwmark?: number;
}

/** Bytes of UDP payload, handshakes and keepalives included. */
export interface UapiTraffic {
  readonly txBytes: number;
  readonly rxBytes: number;
}

/** The tunnel as it stands. */
export interface UapiState {
  readonly snapshot: DeviceSnapshot;
  /** 0 while there is no socket. */
  readonly listenPort: number;
  /** 0 for none. */
  readonly fwmark: number;
  /** Unix time minus the device's `nowMs`, milliseconds. */
  readonly unixOffsetMs: number;
  /** Of the peer in `slot`. */
  traffic(slot: number): UapiTraffic;
}

export interface UapiDevice {
  /** The index of a network interface, for the zone of a link-local endpoint. */
  findZone(interfaceName: string): number | undefined;
  get(): UapiState | Promise<UapiState>;
  /** Throws, or rejects, a `MinitailError`: "port-taken" where the listen port can't be had, "too-many" for want of room. */
  set(change: UapiChange): void | Promise<void>;
}
