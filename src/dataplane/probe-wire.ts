/**
 * Whether UDP sockets cut and join datagrams, tried with real ones over loopback. What a path or its device refuses
 * shows only when it is used: see run-sender.ts.
 */

import { release } from "node:os";
import {
  allocateStable,
  closeFd,
  encodeSockaddr,
  errnoName,
  getSocketName,
  IPPROTO_UDP,
  isSystemError,
  MessageReceiver,
  MessageSender,
  openBoundUdpSocket,
  PollSet,
  type SocketEndpoint,
  setSocketOption,
  UDP_GRO,
} from "bun-ffi-tun";
import { equalBytes } from "../base/bytes.ts";
import type { Offload, OffloadOff } from "./offload.ts";

const LOOPBACK = Uint8Array.of(127, 0, 0, 1);

/** Two of one length and a shorter one. */
const DATAGRAM_BYTES: readonly number[] = [1200, 1200, 100];
const RUN_BYTES = 2500;
const RUN = Uint8Array.from({ length: RUN_BYTES }, (_, i) => i * 7);

/** What is sent over loopback is there when the call returns; this is for a machine where a firewall queues it. */
const ARRIVAL_LIMIT_MS = 20;

/** Before 5.12 UDP_GRO joins what it must not, in ways that loopback does not show. */
const UDP_GRO_SINCE = [5, 12] as const;

/**
 * Those of `wanted` that this machine's kernel does not have, or does wrong. Nothing is said where loopback carries
 * nothing at all: that is no fault of theirs.
 */
export function probeWire(wanted: ReadonlySet<Offload>, kernelRelease = release()): readonly OffloadOff[] {
  if (!wanted.has("udp-gso") && !wanted.has("udp-gro")) return [];
  const off: OffloadOff[] = [];
  const trial = (offload: Offload, how: Carriage) => {
    if (!wanted.has(offload)) return;
    const reason = carry(how);
    if (reason !== undefined) off.push({ offload, reason });
  };
  if (carry({ isCut: false, isJoined: false }) === undefined) {
    trial("udp-gso", { isCut: true, isJoined: false });
    const isCut = !off.some(({ offload }) => offload === "udp-gso");
    trial("udp-gro", { isCut, isJoined: true });
  }
  if (wanted.has("udp-gro") && off.every(({ offload }) => offload !== "udp-gro") && isOlder(kernelRelease)) {
    off.push({ offload: "udp-gro", reason: `kernel ${kernelRelease} joins what it must not` });
  }
  return off;
}

interface Carriage {
  readonly isCut: boolean;
  readonly isJoined: boolean;
}

/** Sends the datagrams over loopback. Answers why they did not arrive as they were sent, `undefined` where they did. */
function carry({ isCut, isJoined }: Carriage): string | undefined {
  const fds: number[] = [];
  try {
    const [from, to] = [openSocket(fds), openSocket(fds)] as const;
    if (isJoined) setSocketOption(to, IPPROTO_UDP, UDP_GRO, 1);
    const errno = send(from, getSocketName(to)!, isCut);
    if (errno !== 0) return `the kernel refuses it: ${errnoName(errno)}`;
    return receivesAll(to) ? undefined : "datagrams arrive otherwise than they were sent";
  } catch (error) {
    if (!isSystemError(error)) throw error;
    return `the kernel does not have it: ${error.code}`;
  } finally {
    for (const fd of fds) closeFd(fd);
  }
}

function openSocket(fds: number[]): number {
  const fd = openBoundUdpSocket({ family: 4 }, { address: LOOPBACK, port: 0 });
  fds.push(fd);
  return fd;
}

/** 0, or an errno. */
function send(fd: number, to: SocketEndpoint, isCut: boolean): number {
  const run = allocateStable(RUN_BYTES);
  run.bytes.set(RUN);
  const encoded = encodeSockaddr(to);
  const sockaddr = allocateStable(encoded.length);
  sockaddr.bytes.set(encoded);
  const sender = new MessageSender();
  const strideBytes = DATAGRAM_BYTES[0]!;
  const atOnceBytes = isCut ? RUN_BYTES : strideBytes;
  for (let at = 0; at < RUN_BYTES; at += atOnceBytes) {
    const lengthBytes = Math.min(atOnceBytes, RUN_BYTES - at);
    const sent = sender.send(
      fd,
      run.address + at,
      lengthBytes,
      sockaddr.address,
      encoded.length,
      isCut ? strideBytes : 0,
    );
    if (sent < 0) return -sent;
  }
  return 0;
}

/** True if the datagrams come as they were sent, however the kernel hands them over. */
function receivesAll(fd: number): boolean {
  const receiver = new MessageReceiver();
  const target = allocateStable(RUN_BYTES + 1);
  const arrived: number[] = [];
  let arrivedBytes = 0;
  const poll = new PollSet();
  poll.add(fd);
  while (arrivedBytes < RUN_BYTES && poll.wait(ARRIVAL_LIMIT_MS) > 0) {
    const receivedBytes = receiver.receive(fd, target.address, target.bytes.length);
    if (receivedBytes <= 0) return false;
    const expected = RUN.subarray(arrivedBytes, arrivedBytes + receivedBytes);
    if (!equalBytes(target.bytes.subarray(0, receivedBytes), expected)) return false;
    const strideBytes = receiver.segmentBytes || receivedBytes;
    for (let at = 0; at < receivedBytes; at += strideBytes) arrived.push(Math.min(strideBytes, receivedBytes - at));
    arrivedBytes += receivedBytes;
  }
  return arrived.join() === DATAGRAM_BYTES.join();
}

/** `6.1.0-18-amd64` */
function isOlder(kernelRelease: string): boolean {
  const [major = 0, minor = 0] = kernelRelease.split(".").map((part) => Number.parseInt(part, 10));
  return major < UDP_GRO_SINCE[0] || (major === UDP_GRO_SINCE[0] && minor < UDP_GRO_SINCE[1]);
}
