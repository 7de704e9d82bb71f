/** What `rx` tells the main thread and `tx` of the datagrams that it takes; the same by either way in. */

import type { Endpoint } from "../base/ip.ts";
import type { DataPlaneEvent } from "./event.ts";
import { PeerPaths } from "./peer-paths.ts";
import type { ReceiveEvents } from "./receive.ts";
import type { SharedTables } from "./shared-tables.ts";

/** Where the datagram at hand came from, as a way's socket tells it. */
export interface DatagramOrigin<Source> {
  /** `undefined` where there is none (a pair of sockets). */
  endpoint(): Endpoint | undefined;
  /** A copy, to be compared with those that come later without decoding them. */
  copy(): Source;
  isSame(source: Source): boolean;
}

export class ReceiveReports<Source> implements ReceiveEvents {
  readonly #report: (event: DataPlaneEvent) => void;
  readonly #origin: DatagramOrigin<Source>;
  readonly #paths: PeerPaths;
  /** The source of each peer's last authenticated datagram. */
  readonly #sources: (Source | undefined)[] = [];
  /** The peer that the origin at hand was compared with. */
  #comparedSlot = -1;

  constructor(tables: SharedTables, report: (event: DataPlaneEvent) => void, origin: DatagramOrigin<Source>) {
    this.#report = report;
    this.#origin = origin;
    this.#paths = new PeerPaths(tables, report);
  }

  /** Datagrams of another origin come from here on. */
  originChanged(): void {
    this.#comparedSlot = -1;
  }

  forgetPeer(slot: number): void {
    this.#paths.forget(slot);
    delete this.#sources[slot];
  }

  message(buffer: Uint8Array, offset: number, lengthBytes: number): boolean {
    const source = this.#origin.endpoint();
    if (!source) return false;
    this.#report({ type: "message", bytes: buffer.slice(offset, offset + lengthBytes), source });
    return true;
  }

  handshakeWanted(slot: number): void {
    this.#report({ type: "handshake-wanted", slot });
  }

  sessionConfirmed(localIndex: number): void {
    this.#report({ type: "session-confirmed", localIndex });
  }

  authenticated(slot: number): void {
    if (slot === this.#comparedSlot) return;
    this.#comparedSlot = slot;
    const last = this.#sources[slot];
    if (last && this.#origin.isSame(last) && this.#paths.isCurrent(slot)) return;
    const source = this.#origin.endpoint();
    if (!source) return;
    this.#sources[slot] = this.#origin.copy();
    this.#paths.note(slot, source);
  }

  activity(slot: number): void {
    this.#report({ type: "activity", slot });
  }

  echoReply(slot: number, buffer: Uint8Array, offset: number, lengthBytes: number): void {
    this.#report({ type: "echo-reply", slot, packet: buffer.slice(offset, offset + lengthBytes) });
  }
}
