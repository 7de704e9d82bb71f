/**
 * The data plane as the main thread holds it: two workers that carry packets, the tables that tell them
 * how, and the events by which they ask for what they cannot decide.
 */

import { closeFd, createEventFd, createTimerFd, dupFd, setTimerFd } from "bun-ffi-tun";
import type { Endpoint, IpPrefix } from "../base/ip.ts";
import type { TransportCipherName } from "../crypto/transport-cipher.ts";
import { MESSAGE_COOKIE_REPLY } from "../wire/wireguard.ts";
import type { DataPlaneEvent, ReceiveCommand, TransmitCommand } from "./event.ts";
import type { HeaderCounterName } from "./layout.ts";
import { OFFLOADS, type Offload } from "./offload.ts";
import { SharedTables } from "./shared-tables.ts";
import { type ActivityEntry, type SessionEntry, TableWriter, type Traffic } from "./table-writer.ts";
import type { DataPlaneWay, WorkerRole } from "./worker.ts";
import { WorkerHandle } from "./worker-handle.ts";

export interface DataPlaneOptions {
  /** A TUN or one end of a datagram socketpair, non-blocking; stays the caller's. With virtio headers for the fast way. */
  readonly deviceFd: number;
  /** Default: plain. */
  readonly way?: DataPlaneWay;
  /** Of the fast way: those that may be used. Default: all. */
  readonly offloads?: readonly Offload[];
  readonly mtuBytes: number;
  /** A netlink socket joined to link, address and route changes; -1 for none. Stays the caller's. */
  readonly monitorFd?: number;
  /** Use this AEAD rather than the fastest. */
  readonly cipher?: TransportCipherName;
  /** Called on the main thread, after `start` has resolved. */
  readonly onEvent: (event: DataPlaneEvent) => void;
}

export class DataPlane {
  readonly #tables = new SharedTables();
  readonly #writer = new TableWriter(this.#tables);
  readonly #transmitWakeFd = createEventFd();
  readonly #receiveWakeFd = createEventFd();
  readonly #timerFd = createTimerFd();
  readonly #options: DataPlaneOptions;
  readonly #transmit: WorkerHandle<TransmitCommand>;
  readonly #receive: WorkerHandle<ReceiveCommand>;
  /** What the workers reported before the caller had the plane; `undefined` from then on. */
  #early: DataPlaneEvent[] | undefined = [];
  #stopped = false;

  private constructor(options: DataPlaneOptions) {
    this.#options = options;
    this.#writer.setMtu(options.mtuBytes);
    this.#transmit = this.#startWorker("dataplane-tx", this.#transmitWakeFd);
    this.#receive = this.#startWorker("dataplane-rx", this.#receiveWakeFd);
  }

  /** Resolves when both workers run. Throws a `MinitailError` where they cannot. */
  static async start(options: DataPlaneOptions): Promise<DataPlane> {
    const plane = new DataPlane(options);
    try {
      await Promise.all([plane.#transmit.ready, plane.#receive.ready]);
    } catch (error) {
      await plane.stop();
      throw error;
    }
    setImmediate(() => plane.#deliverEarly());
    return plane;
  }

  /** Which AEAD seals packets. */
  get aead(): TransportCipherName {
    return this.#transmit.aead ?? "noble";
  }

  /**
   * Packets go by this UDP socket from here on, by none if it is -1. The descriptor stays the caller's, who
   * may close it at once. Resolves when the workers have let go of the wire before: its port is free then,
   * if nobody else has it.
   */
  async setWire(fd: number): Promise<void> {
    if (this.#stopped) return;
    const [transmitFd, receiveFd] = duplicateWire(fd);
    const taken = [this.#transmit.wireTaken(), this.#receive.wireTaken()];
    this.#transmit.tell({ type: "wire", fd: transmitFd });
    this.#receive.tell({ type: "wire", fd: receiveFd });
    await Promise.all(taken);
  }

  get mtuBytes(): number {
    return this.#writer.mtuBytes;
  }

  setMtu(mtuBytes: number): void {
    this.#writer.setMtu(mtuBytes);
  }

  /**
   * Asks for one "timer" event at this time of `boottimeMs`, instead of what was asked for before; for none if it is
   * `undefined`. It comes right after a sleep of the machine in which it was due, where setTimeout would be late.
   */
  setTimer(atMs: number | undefined): void {
    if (!this.#stopped) setTimerFd(this.#timerFd, atMs);
  }

  /**
   * Sends a message of the handshake's, past all tables. `slot` is of the peer that an initiation is for: it leaves from
   * the address that the peer talks to. Answers leave from the one that `endpoint` says.
   */
  send(bytes: Uint8Array, endpoint: Endpoint, slot?: number): void {
    this.#transmit.tell({ type: "send", bytes, endpoint, slot });
  }

  /** Sends an IP packet as if it came from the device. */
  sendPacket(packet: Uint8Array): void {
    this.#transmit.tell({ type: "packet", bytes: packet });
  }

  /** Handshake messages to this machine have a mac1 made with this key; the others are dropped. */
  setMac1Key(key: Uint8Array | undefined): void {
    this.#writer.setMac1Key(key);
  }

  /** No peer is followed to an address of these. */
  setInsidePrefixes(prefixes: readonly IpPrefix[]): void {
    this.#writer.setInsidePrefixes(prefixes);
  }

  addPeer(slot: number): void {
    this.#writer.addPeer(slot);
  }

  removePeer(slot: number): void {
    this.#writer.removePeer(slot);
    this.#transmit.tell({ type: "forget-peer", slot });
    this.#receive.tell({ type: "forget-peer", slot });
  }

  setEndpoint(slot: number, endpoint: Endpoint): void {
    this.#writer.setEndpoint(slot, endpoint);
  }

  endpoint(slot: number): Endpoint | undefined {
    return this.#writer.endpoint(slot);
  }

  /**
   * Packets to `slot` that are larger go in fragments, and who made them is told; 0 is for none. The wire tries anew
   * what it can do in batches for this peer.
   */
  setPacketLimit(slot: number, limitBytes: number): void {
    this.#writer.setPacketLimit(slot, limitBytes);
  }

  setAllowedIp(prefix: IpPrefix, slot: number | undefined): void {
    this.#writer.setAllowedIp(prefix, slot);
  }

  /** Erases the keys of `entry`: from here on the tables alone have them. */
  addSession(entry: SessionEntry): void {
    this.#writer.addSession(entry);
    entry.sendKey.fill(0);
    entry.receiveKey.fill(0);
  }

  useSession(slot: number, localIndex: number | undefined): void {
    this.#writer.useSession(slot, localIndex);
  }

  removeSession(localIndex: number): void {
    const row = this.#writer.removeSession(localIndex);
    this.#transmit.tell({ type: "forget-session", row });
    this.#receive.tell({ type: "forget-session", row });
  }

  flush(slot: number, keepaliveIfEmpty: boolean): void {
    this.#transmit.tell({ type: "flush", slot, keepaliveIfEmpty });
  }

  dropQueue(slot: number): void {
    this.#transmit.tell({ type: "drop-queue", slot });
  }

  /** Packets that were for nobody a moment ago are tried once more. */
  retryStrays(): void {
    this.#transmit.tell({ type: "retry-strays" });
  }

  activity(slot: number): ActivityEntry {
    return this.#writer.activity(slot);
  }

  /** The next data packet of this peer is reported as "activity". */
  reportActivity(slot: number): void {
    this.#writer.reportActivity(slot);
  }

  traffic(slot: number): Traffic {
    return this.#writer.traffic(slot);
  }

  counters(): Record<HeaderCounterName, number> {
    return this.#writer.counters();
  }

  /** Ends both workers; the device and the wire stay open, and are the caller's alone. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    await Promise.all([this.#transmit.stop({ type: "stop" }), this.#receive.stop({ type: "stop" })]);
    closeFd(this.#transmitWakeFd);
    closeFd(this.#receiveWakeFd);
    closeFd(this.#timerFd);
  }

  #startWorker<Command>(role: WorkerRole["role"], wakeFd: number): WorkerHandle<Command> {
    const shared: Omit<WorkerRole, "port"> = {
      role,
      way: this.#options.way ?? "plain",
      memory: this.#tables.memory,
      deviceFd: this.#options.deviceFd,
      wakeFd,
      monitorFd: this.#options.monitorFd ?? -1,
      timerFd: this.#timerFd,
      cipher: this.#options.cipher,
      offloads: this.#options.offloads ?? OFFLOADS,
    };
    return new WorkerHandle(shared, wakeFd, (event) => this.#handleEvent(event));
  }

  #handleEvent(event: DataPlaneEvent): void {
    if (event.type === "message") this.#writer.handoverTaken(event.bytes[0] === MESSAGE_COOKIE_REPLY);
    if (event.type === "echo-reply") this.#writer.handoverTaken(false);
    if (this.#stopped) return;
    if (this.#early) this.#early.push(event);
    else this.#options.onEvent(event);
  }

  #deliverEarly(): void {
    const events = this.#early ?? [];
    this.#early = undefined;
    for (const event of events) if (!this.#stopped) this.#options.onEvent(event);
  }
}

/** Each worker gets a descriptor of its own: the caller's number may name another file by the time that it is told. */
function duplicateWire(fd: number): readonly [number, number] {
  if (fd < 0) return [-1, -1];
  const first = dupFd(fd);
  try {
    return [first, dupFd(fd)];
  } catch (error) {
    closeFd(first);
    throw error;
  }
}
