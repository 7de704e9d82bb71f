/**
 * A socket for questions to the kernel's routing tables (NETLINK_ROUTE): one at a time, answered before the call returns.
 *
 * It speaks of the network namespace in which it was opened, for good: with `inNamespace` one process configures many.
 */

import { ERRNO, SystemError } from "../errno.ts";
import { closeFd } from "../fd.ts";
import { check, checkRetrying, lastErrno, libc } from "../libc.ts";
import { setSocketOption } from "../socket.ts";
import { AF_NETLINK, MSG_TRUNC, SOCK_CLOEXEC, SOCK_RAW, SOL_SOCKET } from "../socket-constants.ts";
import { decodeAttributes, readText, viewOf } from "./attribute.ts";
import {
  alignNetlink,
  decodeNetlinkMessages,
  encodeNetlinkMessage,
  NETLINK_HEADER_BYTES,
  type NetlinkMessage,
  NLM_F_ACK,
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
} from "./message.ts";

export const NETLINK_ROUTE = 0;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NLMSGERR_ATTR_MSG = 1;
const SO_RCVTIMEO = 20;

const DEFAULT_TIMEOUT_MS = 5000;
/** The kernel answers dumps in pieces of up to 32 KiB; a single link with many virtual functions may be larger. */
const RECEIVE_BYTES = 128 * 1024;
/** How often a dump is asked for again because what it lists changed meanwhile. */
const DUMP_ATTEMPTS = 10;

/** Shared by the sockets of a thread: whatever is kept of an answer is copied. */
const received = new Uint8Array(new ArrayBuffer(RECEIVE_BYTES));

export interface NetlinkOptions {
  /** How long one answer may take. Default 5000. */
  readonly timeoutMs?: number;
}

/** Opens a socket in the network namespace of the calling thread. Needs no privilege; changes need CAP_NET_ADMIN. */
export function openNetlink(options: NetlinkOptions = {}): NetlinkSocket {
  return new NetlinkSocket(options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
}

export class NetlinkSocket implements Disposable {
  #fd: number;
  #sequence = 0;

  constructor(timeoutMs: number) {
    this.#fd = check(libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), "open a netlink socket");
    try {
      setSocketOption(this.#fd, SOL_SOCKET, SO_RCVTIMEO, encodeTimeval(timeoutMs));
      setSocketOption(this.#fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
      setSocketOption(this.#fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * Asks for something to be done or looked up, and waits until the kernel says that it is.
   *
   * @param operation what is tried, to be read after "cannot"
   * @returns what came before the acknowledgement: nothing for a change, the answer to a question
   * @throws SystemError with the kernel's own words, where it has any; ETIMEDOUT
   */
  request(type: number, flags: number, body: Uint8Array, operation: string): NetlinkMessage[] {
    return this.#exchange(type, flags | NLM_F_ACK, body, operation).messages;
  }

  /**
   * Asks for a list, again if it changed while it was read.
   *
   * @throws SystemError; EINTR if it changed again and again
   */
  dump(type: number, body: Uint8Array, operation: string): NetlinkMessage[] {
    for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt++) {
      const { messages, isInterrupted } = this.#exchange(type, NLM_F_DUMP, body, operation);
      if (!isInterrupted) return messages;
    }
    throw new SystemError(ERRNO.EINTR, operation, `the list changed ${DUMP_ATTEMPTS} times while it was read`);
  }

  /** Once is enough; again does no harm. */
  close(): void {
    if (this.#fd === -1) return;
    closeFd(this.#fd);
    this.#fd = -1;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #exchange(
    type: number,
    flags: number,
    body: Uint8Array,
    operation: string,
  ): { messages: NetlinkMessage[]; isInterrupted: boolean } {
    this.#sequence = (this.#sequence + 1) >>> 0;
    const sequence = this.#sequence;
    const request = encodeNetlinkMessage({ type, flags: flags | NLM_F_REQUEST, sequence, portId: 0, body });
    checkRetrying(() => libc.sendto(this.#fd, request, request.length, 0, null, 0), operation);
    const messages: NetlinkMessage[] = [];
    let isInterrupted = false;
    for (;;) {
      for (const message of this.#receive(operation)) {
        // An answer to an earlier request, which ran out of time.
        if (message.sequence !== sequence) continue;
        isInterrupted ||= (message.flags & NLM_F_DUMP_INTR) !== 0;
        if (message.type === NLMSG_ERROR || message.type === NLMSG_DONE) {
          throwIfRefused(message, operation);
          return { messages, isInterrupted };
        }
        messages.push({ ...message, body: message.body.slice() });
      }
    }
  }

  #receive(operation: string): NetlinkMessage[] {
    for (;;) {
      const lengthBytes = libc.recvfrom(this.#fd, received, received.length, MSG_TRUNC, null, null);
      if (lengthBytes === -1) {
        const errno = lastErrno();
        if (errno === ERRNO.EINTR) continue;
        throw new SystemError(errno === ERRNO.EAGAIN ? ERRNO.ETIMEDOUT : errno, operation);
      }
      if (lengthBytes > received.length) throw new SystemError(ERRNO.EMSGSIZE, operation);
      const messages = decodeNetlinkMessages(received.subarray(0, lengthBytes));
      if (messages === undefined) throw new SystemError(ERRNO.EBADMSG, operation);
      return messages;
    }
  }
}

/**
 *     NLMSG_ERROR:   0  i32  0, or the errno negated      NLMSG_DONE:   0  i32  0, or the errno negated
 *                    4  header of the request                           4  attributes, with NLM_F_ACK_TLVS
 *                   20  its body, unless NLM_F_CAPPED
 *                       attributes, with NLM_F_ACK_TLVS
 */
function throwIfRefused({ type, flags, body }: NetlinkMessage, operation: string): void {
  if (body.length < 4) {
    if (type === NLMSG_DONE) return;
    throw new SystemError(ERRNO.EBADMSG, operation);
  }
  const view = viewOf(body);
  const errno = -view.getInt32(0, true);
  if (errno === 0) return;
  let attributesOffset = 4;
  if (type === NLMSG_ERROR && body.length >= 4 + NETLINK_HEADER_BYTES) {
    attributesOffset += (flags & NLM_F_CAPPED) !== 0 ? NETLINK_HEADER_BYTES : alignNetlink(view.getUint32(4, true));
  }
  const attributes = (flags & NLM_F_ACK_TLVS) !== 0 ? decodeAttributes(body.subarray(attributesOffset)) : undefined;
  throw new SystemError(errno, operation, attributes && readText(attributes, NLMSGERR_ATTR_MSG));
}

/** struct timeval: seconds and microseconds, 64 bits each. */
function encodeTimeval(timeoutMs: number): Uint8Array {
  const words = new Uint32Array(4);
  words[0] = Math.floor(timeoutMs / 1000);
  words[2] = Math.round((timeoutMs % 1000) * 1000);
  return new Uint8Array(words.buffer);
}
