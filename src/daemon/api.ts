/** What the daemon's local API shows of the daemon (`calls` has its calls): HTTP on a Unix socket that only root can open. */

export type DaemonState = "starting" | "running" | "needs-approval" | "expired" | "stopped";

export interface HealthItem {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

export interface PathStatus {
  readonly kind: "direct" | "relay" | "none";
  readonly address: string | null;
  readonly relay: string | null;
  readonly latencyMs: number | null;
  /** The largest packet that goes whole, in bytes, where that is smaller than the device's MTU; else null. */
  readonly mtu: number | null;
}

/** A machine of the tailnet as `status --json` shows it (cli.md). */
export interface NodeStatus {
  readonly id: string;
  readonly name: string;
  readonly dnsName: string;
  readonly addresses: readonly string[];
  readonly nodeKey: string;
  readonly tags: readonly string[];
  readonly user: string;
  readonly online: boolean | null;
  readonly lastSeenAt: string | null;
  readonly endpoints: readonly string[];
  readonly path: PathStatus;
  readonly txBytes: number;
  readonly rxBytes: number;
  readonly lastHandshakeAt: string | null;
  readonly allowedIPs: readonly string[];
  readonly routes: readonly string[];
  readonly exitNode: boolean;
  readonly exitNodeOption: boolean;
  readonly keyExpiresAt: string | null;
}

export interface RegistryState {
  /** Without token, pin or user name. */
  readonly url: string;
  readonly connected: boolean;
  readonly lastSyncAt: string | null;
  readonly commandsSent: number;
}

export interface Status {
  readonly version: string;
  readonly state: DaemonState;
  readonly tailnet: {
    readonly id: string;
    readonly name: string;
    readonly pool: readonly string[];
    readonly suffix: string;
  } | null;
  readonly self: NodeStatus | null;
  readonly peers: readonly NodeStatus[];
  readonly registry: RegistryState | null;
  readonly dataplane: {
    readonly aead: "ipsec-mb" | "ring" | "sodium" | "noble";
    /** How long the cipher takes for a packet of 1420 bytes on an idle machine; null where that is not known. */
    readonly sealMicroseconds: number | null;
    readonly openMicroseconds: number | null;
    readonly offloads: readonly string[];
    /** Those that are not in use, or not for `peer`, though the fast way could. */
    readonly offloadsOff: readonly {
      readonly offload: string;
      readonly peer: string | null;
      readonly reason: string;
    }[];
    readonly mtu: number;
  } | null;
  /** While this machine waits to be let in: the code for `minitail node approve`, a secret; else null. */
  readonly approval: { readonly code: string; readonly nodeId: string; readonly expiresAt: string } | null;
  readonly health: readonly HealthItem[];
}
