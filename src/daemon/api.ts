/**
 * The daemon's local API: HTTP on a Unix socket that only root can open. Requests and answers are
 * JSON. An error is answered as `ApiFailure` with the HTTP status 400 (or 404 for an unknown path).
 *
 *     GET  /v1/status                     Status
 *     POST /v1/down                       {}          the daemon stops once it has answered
 *     POST /v1/ping    PingRequest        PingReply   one echo
 *     POST /v1/keys    CreateKeyRequest   CreatedKey
 *     GET  /v1/registry                   RegistryStatus
 */

import type { ErrorCode } from "../base/errors.ts";

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
    readonly aead: "ring" | "sodium" | "noble";
    readonly offloads: readonly string[];
    readonly mtu: number;
  } | null;
  readonly health: readonly HealthItem[];
}

export interface PingRequest {
  /** Name, address or node id. */
  readonly peer: string;
  /** Bytes of ICMP payload, 16 to 65000. */
  readonly sizeBytes: number;
  readonly timeoutMs: number;
}

/** `latencyMs` is null where no reply came in time. */
export interface PingReply {
  readonly peer: { readonly name: string; readonly address: string };
  readonly path: PathStatus;
  readonly latencyMs: number | null;
}

export interface CreateKeyRequest {
  readonly reusable: boolean;
  readonly ephemeral: boolean;
  readonly expiresInMs: number;
  readonly tags: readonly string[];
  readonly user: string;
}

export interface CreatedKey {
  readonly id: string;
  /** The join key, `mt1:...`: a secret. */
  readonly key: string;
  readonly expiresAt: string;
}

export interface RegistryStatus extends RegistryState {
  /** Whether this node serves the registry itself. */
  readonly embedded: boolean;
  readonly tailnetId: string;
  readonly chainLength: number;
  readonly records: number;
}

export interface ApiFailure {
  readonly error: { readonly code: ErrorCode; readonly message: string; readonly hint?: string };
}
