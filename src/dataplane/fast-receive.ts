/**
 * The fast way in: one recvmsg with UDP_GRO yields a run of messages, which are opened where each joins the one
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
import type { DataPlaneEvent, ReceiveCommand } from "./event.ts";
import { JoiningDevice } from "./joining-device.ts";
import { MessageSource, sourceOf } from "./message-source.ts";
import { OFFLOADS, type Offload } from "./offload.ts";
import { Receiver } from "./receive.ts";
import { ReceiveReports } from "./receive-reports.ts";
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

export class FastReceive {
  readonly #options: FastReceiveOptions;
  readonly #receiver: Receiver;
  readonly #reports: ReceiveReports<MessageSource>;
  readonly #messages: MessageReceiver;
  readonly #run = allocateStable(RUN_BUFFER_LENGTH_BYTES);
  readonly #device: JoiningDevice;
  #mayJoinReceived: boolean;
  readonly #poll = new PollSet();
  readonly #wakeIndex: number;
  #wireFd = -1;
  #wireIndex = -1;
  #isStopped = false;

  constructor(options: FastReceiveOptions) {
    this.#options = options;
    const { tables, report } = options;
    this.#wakeIndex = this.#poll.add(options.wakeFd, POLLIN);
    const messages = options.messages ?? new MessageReceiver();
    this.#messages = messages;
    const offloads = new Set(options.offloads ?? OFFLOADS);
    this.#mayJoinReceived = offloads.has("udp-gro");
    this.#device = new JoiningDevice({
      tables,
      fd: options.deviceFd,
      memory: this.#run,
      offloads,
      write: options.write ?? writeFd,
      refused: (offload, errno) => this.#reportRefused(offload, errno),
    });
    this.#reports = new ReceiveReports(tables, report, {
      endpoint: () => sourceOf(messages),
      copy: () => new MessageSource(messages),
      isSame: (source) => source.isOf(messages),
    });
    this.#receiver = new Receiver(tables, options.cipher, this.#device, this.#reports);
  }

  /** Until it is told to stop. */
  run(): void {
    const { idleWork } = this.#options;
    let isIdleWorkDone = idleWork === undefined;
    try {
      while (!this.#isStopped) {
        if (!this.turn(isIdleWorkDone ? -1 : 0)) isIdleWorkDone = idleWork?.next().done ?? true;
      }
    } finally {
      // A wire that nobody reads would keep its port, and what is sent there.
      this.#closeWire();
      idleWork?.return();
    }
  }

  /** Waits for at most `timeoutMs`, below 0 without a limit, and does what there is to do. False where there was nothing. */
  turn(timeoutMs: number): boolean {
    if (this.#poll.wait(timeoutMs) === 0) return false;
    if (this.#poll.revents(this.#wakeIndex) !== 0) {
      drainEventFd(this.#options.wakeFd);
      this.#isStopped = !this.#handleCommands();
      if (this.#isStopped) return true;
    }
    if (this.#wireFd >= 0 && this.#poll.revents(this.#wireIndex) !== 0) this.takeMessages();
    return true;
  }

  /** Carries what the wire has. */
  takeMessages(): void {
    const { bytes, address } = this.#run;
    for (let i = 0; i < RECEIVES_A_TURN; i++) {
      const runBytes = this.#messages.receive(this.#wireFd, address, RUN_BUFFER_LENGTH_BYTES);
      // Nothing there, or an ICMP error: WireGuard's own timers deal with a peer that is not there.
      if (runBytes < 0) return;
      const nowMs = boottimeMs();
      this.#reports.originChanged();
      const strideBytes = this.#messages.segmentBytes > 0 ? this.#messages.segmentBytes : runBytes;
      this.#receiver.handleRun(bytes, 0, runBytes, strideBytes, nowMs);
      this.#device.flush();
    }
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
        this.#reports.forgetPeer(command.slot);
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
    if (this.#mayJoinReceived) this.#joinReceived();
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
      this.#mayJoinReceived = false;
      this.#reportRefused("udp-gro", error.errno);
    }
  }

  #reportRefused(offload: Offload, errno: number): void {
    this.#options.report({ type: "offload-refused", offload, errno, slot: -1 });
  }

  #closeWire(): void {
    if (this.#wireFd < 0) return;
    this.#poll.remove(this.#wireIndex);
    closeFd(this.#wireFd);
    this.#wireFd = -1;
  }
}
