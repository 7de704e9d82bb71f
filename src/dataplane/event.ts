/** What the workers tell the main thread, and what it tells them. All are rare; packets pass by none of these. */

import type { Endpoint } from "../base/ip.ts";
import type { Offload } from "./offload.ts";

/** From either worker to the main thread. */
export type DataPlaneEvent =
  /** A handshake message with a valid mac1, or a cookie reply. */
  | { readonly type: "message"; readonly bytes: Uint8Array; readonly source: Endpoint }
  /** A packet waits for a session with this peer, or the session is getting old. */
  | { readonly type: "handshake-wanted"; readonly slot: number }
  /** The first authenticated packet under a session that asked for this report. */
  | { readonly type: "session-confirmed"; readonly localIndex: number }
  /** An authenticated packet came from an endpoint that is not the peer's: tx sends there already. */
  | { readonly type: "roamed"; readonly slot: number; readonly source: Endpoint }
  /** Data passed, and the main thread does not watch this peer. */
  | { readonly type: "activity"; readonly slot: number }
  /** The reply to an echo request that the daemon sent by itself. */
  | { readonly type: "echo-reply"; readonly slot: number; readonly packet: Uint8Array }
  /** The kernel refused it with this errno: it is off from here on, for this peer, or (-1) for all. Nothing was lost. */
  | { readonly type: "offload-refused"; readonly offload: Offload; readonly errno: number; readonly slot: number }
  /** The wire does not cut runs of packets as large as this peer's, most likely for its path. Nothing was lost. */
  | { readonly type: "path-narrow"; readonly slot: number; readonly errno: number }
  /** The time that the main thread asked for has come. */
  | { readonly type: "timer" }
  /** The worker uses the wire that it was told to, and holds no other. */
  | { readonly type: "wire-taken" }
  /** The worker runs. */
  | { readonly type: "ready"; readonly aead: string }
  /** The worker has ended, and let go of its wire. */
  | { readonly type: "stopped" }
  /** The device is gone, or was never usable. */
  | { readonly type: "device-gone" }
  /** The kernel's link, address or route tables changed. */
  | { readonly type: "network-changed" }
  /** The worker cannot go on. */
  | { readonly type: "failed"; readonly message: string };

/** From the main thread to tx; an eventfd wakes it. */
export type TransmitCommand =
  /** A descriptor that is the worker's from here on; -1 for no wire. Answered by "wire-taken". */
  | { readonly type: "wire"; readonly fd: number }
  /** `slot` is of the peer that an initiation is for: where the peer is there, it leaves from the address that the peer talks to. */
  | {
      readonly type: "send";
      readonly bytes: Uint8Array;
      readonly endpoint: Endpoint;
      readonly slot: number | undefined;
    }
  /** A packet as if the device had been read. */
  | { readonly type: "packet"; readonly bytes: Uint8Array }
  | { readonly type: "flush"; readonly slot: number; readonly keepaliveIfEmpty: boolean }
  | { readonly type: "drop-queue"; readonly slot: number }
  /** Packets that were for nobody may have a peer now. */
  | { readonly type: "retry-strays" }
  | { readonly type: "forget-session"; readonly row: number }
  | { readonly type: "forget-peer"; readonly slot: number }
  | { readonly type: "stop" };

/** From the main thread to rx. */
export type ReceiveCommand =
  /** As for tx. */
  | { readonly type: "wire"; readonly fd: number }
  | { readonly type: "forget-session"; readonly row: number }
  | { readonly type: "forget-peer"; readonly slot: number }
  | { readonly type: "stop" };
