/**
 * The fast way in: one recvmsg with UDP_GRO yields a run of messages, each is opened where it joins the one
 * before it, and what is one flow goes to the device in one write (docs/dataplane.md).
 */

import {
  allocateStable,
  boottimeMs,
  closeFd,
  drainEventFd,
  getSocketName,
  IP_PKTINFO,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPPROTO_UDP,
  IPV6_RECVPKTINFO,
  MessageReceiver,
  POLLIN,
  PollSet,
  SystemError,
  setSocketOption,
  UDP_GRO,
  writeFd,
} from "bun-ffi-tun";
import type { TransportCipher } from "../crypto/transport-cipher.ts";
import { Coalescer } from "./coalesce.ts";
import type { DataPlaneEvent, ReceiveCommand } from "./event.ts";
import { isRefusal, JoinedWriter } from "./joined-writer.ts";
import { MessageSource, sourceOf } from "./message-source.ts";
import { OFFLOADS, type Offload } from "./offload.ts";
import { PeerPaths } from "./peer-paths.ts";
import { type ReceiveDevice, type ReceiveEvents, Receiver } from "./receive.ts";
import { packetMemory } from "./segment-memory.ts";
import type { SharedTables } from "./shared-tables.ts";

/** Receives before commands are looked at again. */
const RECEIVES_A_TURN = 16;

const RUN_BUFFER_LENGTH_BYTES = 65_536;

export interface FastReceiveOptions {
  readonly tables: SharedTables;
  readonly cipher: TransportCipher;
  /** Those that may be used. Default: all. */
  readonly offloads?: readonly Offload[];
  /** A TUN with a virtio header. */
  readonly deviceFd: number;
  /** Readable when a command waits. */
  readonly wakeFd: number;
  readonly takeCommand: () => ReceiveCommand | undefined;
  /** Gone on with, a step at a time, while there is nothing to carry. */
  readonly idleWork?: Generator<undefined, void> | undefined;
  readonly report: (event: DataPlaneEvent) => void;
  /** Default: the kernel. */
  readonly write?: typeof writeFd;
  /** Default: the kernel. */
  readonly messages?: MessageReceiver;
}

export class FastReceive implements ReceiveDevice, ReceiveEvents {
  readonly takesPartialChecksums = true;
  readonly #options: FastReceiveOptions;
  readonly #receiver: Receiver;
  readonly #paths: PeerPaths;
  readonly #messages: MessageReceiver;
  readonly #run = allocateStable(RUN_BUFFER_LENGTH_BYTES);
  readonly #coalescer = new Coalescer(packetMemory(this.#run.bytes));
  readonly #write: typeof writeFd;
  readonly #joined: JoinedWriter;
  readonly #offloads: Set<Offload>;
  readonly #poll = new PollSet();
  /** The source of each peer's last authenticated run. */
  readonly #sources: (MessageSource | undefined)[] = [];
  #wireFd = -1;
  #wireIndex = -1;
  /** The peer whose source was compared for the run at hand; a run has one source. */
  #comparedSlot = -1;

  constructor(options: FastReceiveOptions) {
    this.#options = options;
    this.#paths = new PeerPaths(options.tables, options.report);
    this.#receiver = new Receiver(options.tables, options.cipher, this, this);
    this.#write = options.write ?? writeFd;
    this.#messages = options.messages ?? new MessageReceiver();
    this.#joined = new JoinedWriter(options.deviceFd, this.#run, this.#write);
    this.#offloads = new Set(options.offloads ?? OFFLOADS);
    this.#setJoins();
  }

  /** Until it is told to stop. */
  run(): void {
    const { wakeFd, idleWork } = this.#options;
    const wake = this.#poll.add(wakeFd, POLLIN);
    let isIdleWorkDone = idleWork === undefined;
    for (;;) {
      if (this.#poll.wait(isIdleWorkDone ? -1 : 0) === 0) {
        isIdleWorkDone = idleWork?.next().done ?? true;
        continue;
      }
      if (this.#poll.revents(wake) !== 0) {
        drainEventFd(wakeFd);
        if (!this.#handleCommands()) break;
      }
      if (this.#wireFd >= 0 && this.#poll.revents(this.#wireIndex) !== 0) this.takeMessages();
    }
    idleWork?.return();
    this.#closeWire();
  }

  /** Carries what the wire has. */
  takeMessages(): void {
    const { bytes, address } = this.#run;
    for (let i = 0; i < RECEIVES_A_TURN; i++) {
      const runBytes = this.#messages.receive(this.#wireFd, address, RUN_BUFFER_LENGTH_BYTES);
      // Nothing there, or an ICMP error: WireGuard's own timers deal with a peer that is not there.
      if (runBytes < 0) return;
      const nowMs = boottimeMs();
      this.#comparedSlot = -1;
      const strideBytes = this.#messages.segmentBytes > 0 ? this.#messages.segmentBytes : runBytes;
      for (let at = 0; at < runBytes; at += strideBytes) {
        this.#receiver.handleDatagram(bytes, at, Math.min(strideBytes, runBytes - at), nowMs);
      }
      if (this.#coalescer.isHolding) this.#writeHeld();
    }
  }

  place(sealedOffset: number): number {
    return this.#coalescer.place(sealedOffset);
  }

  putBack(): void {
    this.#coalescer.putBack();
  }

  write(_buffer: Uint8Array, _offset: number, lengthBytes: number, checksumIsPartial: boolean): boolean {
    let isWritten = true;
    if (!this.#coalescer.consider(lengthBytes, checksumIsPartial)) {
      isWritten = this.#writeHeld();
      this.#coalescer.consider(lengthBytes, checksumIsPartial);
    }
    return isWritten;
  }

  #writeHeld(): boolean {
    const offset = this.#coalescer.finish();
    const { writeBytes, isJoined } = this.#coalescer;
    const written = this.#write(this.#options.deviceFd, this.#run.address + offset, writeBytes);
    if (written === writeBytes) return true;
    if (!isJoined || !isRefusal(-written)) return false;
    this.#stopJoining(this.#coalescer.isTcp ? "tun-tcp-gro" : "tun-udp-gro", -written);
    return this.#joined.writeApart(offset, writeBytes);
  }

  /** A device that refuses joined packets gets them one by one from then on. */
  #stopJoining(offload: Offload, errno: number): void {
    this.#offloads.delete(offload);
    this.#setJoins();
    this.#options.report({ type: "offload-refused", offload, errno, slot: -1 });
  }

  #setJoins(): void {
    this.#coalescer.setJoins(this.#offloads.has("tun-tcp-gro"), this.#offloads.has("tun-udp-gro"));
  }

  message(buffer: Uint8Array, offset: number, lengthBytes: number): boolean {
    const source = sourceOf(this.#messages);
    if (!source) return false;
    this.#options.report({ type: "message", bytes: buffer.slice(offset, offset + lengthBytes), source });
    return true;
  }

  handshakeWanted(slot: number): void {
    this.#options.report({ type: "handshake-wanted", slot });
  }

  sessionConfirmed(localIndex: number): void {
    this.#options.report({ type: "session-confirmed", localIndex });
  }

  authenticated(slot: number): void {
    if (slot === this.#comparedSlot) return;
    this.#comparedSlot = slot;
    if (this.#sources[slot]?.isOf(this.#messages) && this.#paths.isCurrent(slot)) return;
    const source = sourceOf(this.#messages);
    if (!source) return;
    this.#sources[slot] = new MessageSource(this.#messages);
    this.#paths.note(slot, source);
  }

  activity(slot: number): void {
    this.#options.report({ type: "activity", slot });
  }

  echoReply(slot: number, buffer: Uint8Array, offset: number, lengthBytes: number): void {
    this.#options.report({ type: "echo-reply", slot, packet: buffer.slice(offset, offset + lengthBytes) });
  }

  /** False where one of them was to stop. */
  #handleCommands(): boolean {
    for (;;) {
      const command = this.#options.takeCommand();
      if (!command) return true;
      if (command.type === "stop") return false;
      this.#handleCommand(command);
    }
  }

  #handleCommand(command: Exclude<ReceiveCommand, { type: "stop" }>): void {
    switch (command.type) {
      case "wire":
        this.setWire(command.fd);
        this.#options.report({ type: "wire-taken" });
        break;
      case "forget-session":
        this.#receiver.forgetSession(command.row);
        break;
      case "forget-peer":
        this.#paths.forget(command.slot);
        delete this.#sources[command.slot];
        break;
    }
  }

  /** Receives by this socket, which is this object's from here on; -1 for none. */
  setWire(fd: number): void {
    this.#closeWire();
    if (fd < 0) return;
    this.#wireFd = fd;
    this.#wireIndex = this.#poll.add(this.#wireFd, POLLIN);
    this.#askForLocalAddress();
    if (this.#offloads.has("udp-gro")) this.#joinReceived();
  }

  /** Of this machine, to which each datagram was sent: what answers it leaves from there. A socketpair has none. */
  #askForLocalAddress(): void {
    const name = getSocketName(this.#wireFd);
    if (name?.address.length === 16) setSocketOption(this.#wireFd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    else if (name) setSocketOption(this.#wireFd, IPPROTO_IP, IP_PKTINFO, 1);
  }

  #joinReceived(): void {
    try {
      setSocketOption(this.#wireFd, IPPROTO_UDP, UDP_GRO, 1);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#offloads.delete("udp-gro");
      this.#options.report({ type: "offload-refused", offload: "udp-gro", errno: error.errno, slot: -1 });
    }
  }

  #closeWire(): void {
    if (this.#wireFd < 0) return;
    this.#poll.remove(this.#wireIndex);
    closeFd(this.#wireFd);
    this.#wireFd = -1;
  }
}
