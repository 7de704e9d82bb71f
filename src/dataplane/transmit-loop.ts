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
import { HeaderWord } from "./layout.ts";
import type { SharedTables } from "./shared-tables.ts";
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
  forgetPeer(slot: number): void;
}

export interface TransmitLoopOptions {
  readonly tables: SharedTables;
  readonly deviceFd: number;
  /** Readable when a command waits. */
  readonly wakeFd: number;
  /** A netlink socket that is readable when links, addresses or routes change; -1 for none. */
  readonly monitorFd: number;
  /** Readable when the main thread's timer has run out. */
  readonly timerFd: number;
  readonly takeCommand: () => TransmitCommand | undefined;
  /** Gone on with, a step at a time, while there is nothing to carry. */
  readonly idleWork?: Generator<undefined, void> | undefined;
  readonly report: (event: DataPlaneEvent) => void;
}

/** Runs until it is told to stop or the device is gone. Returns to the thread's event loop only while a wire is taken. */
export async function runTransmitLoop(way: TransmitWay, options: TransmitLoopOptions): Promise<void> {
  const { tables, deviceFd, wakeFd, monitorFd, timerFd, idleWork, report } = options;
  const poll = new PollSet();
  const device = poll.add(deviceFd, POLLIN);
  const wake = poll.add(wakeFd, POLLIN);
  const monitor = monitorFd < 0 ? -1 : poll.add(monitorFd, POLLIN);
  const timer = poll.add(timerFd, POLLIN);
  const drained = allocateStable(65_536);
  let isIdleWorkDone = idleWork === undefined;
  for (;;) {
    if (poll.wait(isIdleWorkDone ? -1 : 0) === 0) {
      isIdleWorkDone = idleWork?.next().done ?? true;
      continue;
    }
    if (poll.revents(wake) !== 0) {
      drainEventFd(wakeFd);
      if (!(await handleCommands(way, options))) break;
    }
    if (monitor >= 0 && poll.revents(monitor) !== 0) {
      while (readFd(monitorFd, drained.address, drained.bytes.length) > 0);
      Atomics.add(tables.words, HeaderWord.networkVersion, 1);
      report({ type: "network-changed" });
    }
    if (poll.revents(timer) !== 0 && drainTimerFd(timerFd)) report({ type: "timer" });
    const revents = poll.revents(device);
    const isReadable = (revents & POLLIN) !== 0;
    const isGone = isReadable ? !way.takePackets() : (revents & (POLLERR | POLLHUP | POLLNVAL)) !== 0;
    if (isGone) {
      report({ type: "device-gone" });
      break;
    }
  }
  idleWork?.return();
  await way.setWire(-1);
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
