/** The life of `tx`, whichever way it goes: it blocks in poll(2) on the device, commands, a timer and changes of the network. */

import {
  allocateStable,
  boottimeMs,
  drainEventFd,
  drainTimerFd,
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLNVAL,
  PollSet,
  readFd,
} from "bun-ffi-tun";
import type { Endpoint } from "../base/ip.ts";
import type { DataPlaneEvent, TransmitCommand } from "./event.ts";
import { MAXIMUM_PACKET_BYTES, type Transmitter } from "./transmit.ts";

/** What one way does by itself. */
export interface TransmitWay {
  readonly transmitter: Transmitter;
  /** Carries what the device has. False where it is gone. */
  takePackets(): boolean;
  /** Carries one packet as if the device had been read; at most `MAXIMUM_PACKET_BYTES`. */
  takePacket(packet: Uint8Array): void;
  /** Sends past all tables. `slot` is of the peer that an initiation is for. */
  sendDirect(bytes: Uint8Array, endpoint: Endpoint, slot: number | undefined): void;
  /** Sends by this socket, which is the way's from here on; -1 for none. */
  setWire(fd: number): void | Promise<void>;
  /** Links, addresses or routes of the kernel have changed. */
  noteNetworkChange(): void;
  forgetPeer(slot: number): void;
}

export interface TransmitTurnsOptions {
  readonly deviceFd: number;
  /** Readable when a command waits. */
  readonly wakeFd: number;
  /** A netlink socket that is readable when links, addresses or routes change; -1 for none. */
  readonly monitorFd: number;
  /** Readable when the main thread's timer has run out; -1 for none. */
  readonly timerFd: number;
  readonly report: (event: DataPlaneEvent) => void;
}

export interface TransmitLoopOptions extends TransmitTurnsOptions {
  readonly takeCommand: () => TransmitCommand | undefined;
  /** Gone on with, a step at a time, while there is nothing to carry. */
  readonly idleWork?: Generator<undefined, void> | undefined;
}

/** What a wait ended with: nothing, commands that are to be handled first, packets or notices, or no device any more. */
type TurnEnd = "nothing" | "commands" | "carried" | "device-gone";

/**
 * The waits of `tx` and what they bring, but for commands. The warm-up takes such turns as well: what an idle tunnel's
 * packet runs through after its wait should be compiled by then.
 */
export class TransmitTurns {
  readonly #way: TransmitWay;
  readonly #options: TransmitTurnsOptions;
  readonly #poll = new PollSet();
  readonly #device: number;
  readonly #wake: number;
  readonly #monitor: number;
  readonly #timer: number;
  readonly #drained = allocateStable(65_536);

  constructor(way: TransmitWay, options: TransmitTurnsOptions) {
    const { deviceFd, wakeFd, monitorFd, timerFd } = options;
    this.#way = way;
    this.#options = options;
    this.#device = this.#poll.add(deviceFd, POLLIN);
    this.#wake = this.#poll.add(wakeFd, POLLIN);
    this.#monitor = monitorFd < 0 ? -1 : this.#poll.add(monitorFd, POLLIN);
    this.#timer = timerFd < 0 ? -1 : this.#poll.add(timerFd, POLLIN);
  }

  /** Waits for at most `timeoutMs`, below 0 without a limit, and carries what came; where commands came, `carry` is to do that. */
  next(timeoutMs: number): TurnEnd {
    if (this.#poll.wait(timeoutMs) === 0) return "nothing";
    if (this.#poll.revents(this.#wake) === 0) return this.carry();
    drainEventFd(this.#options.wakeFd);
    return "commands";
  }

  /** Carries what the last wait found. */
  carry(): TurnEnd {
    if (this.#monitor >= 0 && this.#poll.revents(this.#monitor) !== 0) this.#noteNetworkChange();
    if (this.#timer >= 0 && this.#poll.revents(this.#timer) !== 0) this.#noteTimer();
    const revents = this.#poll.revents(this.#device);
    const isReadable = (revents & POLLIN) !== 0;
    const isGone = isReadable ? !this.#way.takePackets() : (revents & (POLLERR | POLLHUP | POLLNVAL)) !== 0;
    return isGone ? "device-gone" : "carried";
  }

  #noteNetworkChange(): void {
    const { monitorFd, report } = this.#options;
    const { address, bytes } = this.#drained;
    while (readFd(monitorFd, address, bytes.length) > 0);
    this.#way.noteNetworkChange();
    report({ type: "network-changed" });
  }

  #noteTimer(): void {
    const { timerFd, report } = this.#options;
    if (drainTimerFd(timerFd)) report({ type: "timer" });
  }
}

/** Runs until it is told to stop or the device is gone. Returns to the thread's event loop only while a wire is taken. */
export async function runTransmitLoop(way: TransmitWay, options: TransmitLoopOptions): Promise<void> {
  const { idleWork, report } = options;
  const turns = new TransmitTurns(way, options);
  let isIdleWorkDone = idleWork === undefined;
  try {
    for (;;) {
      let end = turns.next(isIdleWorkDone ? -1 : 0);
      if (end === "nothing") isIdleWorkDone = idleWork?.next().done ?? true;
      if (end === "commands") {
        if (!(await handleCommands(way, options))) break;
        end = turns.carry();
      }
      if (end === "device-gone") {
        report({ type: "device-gone" });
        break;
      }
    }
  } finally {
    // A wire that nobody sends by would keep its port.
    idleWork?.return();
    await way.setWire(-1);
  }
}

/** False where one of them was to stop. */
async function handleCommands(way: TransmitWay, { takeCommand, report }: TransmitLoopOptions): Promise<boolean> {
  for (let command = takeCommand(); command; command = takeCommand()) {
    switch (command.type) {
      case "stop":
        return false;
      case "wire":
        await way.setWire(command.fd);
        report({ type: "wire-taken" });
        break;
      case "send":
        way.sendDirect(command.bytes, command.endpoint, command.slot);
        break;
      case "packet":
        if (command.bytes.length <= MAXIMUM_PACKET_BYTES) way.takePacket(command.bytes);
        break;
      case "flush":
        way.transmitter.flush(command.slot, command.keepaliveIfEmpty, boottimeMs());
        break;
      case "drop-queue":
        way.transmitter.dropQueue(command.slot);
        break;
      case "retry-strays":
        way.transmitter.retryStrays(boottimeMs());
        break;
      case "forget-session":
        way.transmitter.forgetSession(command.row);
        break;
      case "forget-peer":
        way.transmitter.forgetPeer(command.slot);
        way.forgetPeer(command.slot);
        break;
    }
  }
  return true;
}
