/** What the kernel's tables say of the way to a peer; asked when they have changed, never for each packet. */

import {
  getSocketOption,
  listAddresses,
  lookUpRoute,
  type NetlinkSocket,
  openNetlink,
  SO_MARK,
  SOL_SOCKET,
  SystemError,
} from "bun-ffi-tun";
import { equalBytes } from "../base/bytes.ts";
import type { IpAddress } from "../base/ip.ts";

/** The kernel answers before the question returns. */
const ANSWER_LIMIT_MS = 100;

export interface Routes {
  /** Questions are about packets of this socket from here on; -1 for none. */
  setWire(fd: number): void;
  /** Index of the interface by which packets from `local` to `remote` leave; `undefined` for none. */
  interfaceTo(remote: IpAddress, local: IpAddress): number | undefined;
  /** Index of the interface that has the address; `undefined` for none. */
  interfaceOf(address: IpAddress): number | undefined;
}

/** Has no answers where the kernel gives none. */
export class KernelRoutes implements Routes {
  #netlink: NetlinkSocket | undefined;
  #wireFd = -1;

  setWire(fd: number): void {
    this.#wireFd = fd;
    if (fd >= 0) return;
    this.#netlink?.close();
    this.#netlink = undefined;
  }

  interfaceTo(remote: IpAddress, local: IpAddress): number | undefined {
    const mark = () => getSocketOption(this.#wireFd, SOL_SOCKET, SO_MARK);
    return this.#ask((netlink) => lookUpRoute(netlink, { destination: remote, source: local, mark: mark() }).linkIndex);
  }

  interfaceOf(address: IpAddress): number | undefined {
    return this.#ask(
      (netlink) => listAddresses(netlink).find((entry) => equalBytes(entry.address, address))?.linkIndex,
    );
  }

  #ask(question: (netlink: NetlinkSocket) => number | undefined): number | undefined {
    try {
      this.#netlink ??= openNetlink({ timeoutMs: ANSWER_LIMIT_MS });
      return question(this.#netlink);
    } catch (error) {
      if (error instanceof SystemError) return undefined;
      throw error;
    }
  }
}
