/** A network namespace for one test, and the program `ip` in it to judge what we did. */

import {
  changeLink,
  closeFd,
  createNamespace,
  createVeth,
  getLink,
  inNamespace,
  type NetlinkSocket,
  openNetlink,
} from "../src/index.ts";

export interface FreshNetwork extends Disposable {
  readonly fd: number;
  readonly netlink: NetlinkSocket;
  /** What `ip -d -j ARGUMENTS` prints, parsed. Throws if it fails. */
  ip(...argumentsOfIp: string[]): Record<string, unknown>[];
}

export function freshNetwork(): FreshNetwork {
  const fd = createNamespace();
  const netlink = inNamespace(fd, openNetlink);
  return {
    fd,
    netlink,
    ip(...argumentsOfIp) {
      const { stdout, stderr, exitCode } = inNamespace(fd, () => Bun.spawnSync(["ip", "-d", "-j", ...argumentsOfIp]));
      if (exitCode !== 0) throw new Error(`ip ${argumentsOfIp.join(" ")}: ${stderr.toString()}`);
      const text = stdout.toString().trim();
      return text === "" ? [] : JSON.parse(text);
    },
    [Symbol.dispose]() {
      netlink.close();
      closeFd(fd);
    },
  };
}

/** An interface `name`, up and with a carrier, and its peer `NAME-peer`. Answers its index. */
export function addLink(netlink: NetlinkSocket, name: string): number {
  const peerName = `${name}-peer`;
  createVeth(netlink, { name, up: true }, { name: peerName });
  changeLink(netlink, getLink(netlink, peerName)!.index, { up: true });
  return getLink(netlink, name)!.index;
}

/** The bytes of `10.0.0.1`, or of an IPv6 address with all eight groups or one `::`. */
export function bytesOf(text: string): Uint8Array {
  if (!text.includes(":")) return Uint8Array.from(text.split("."), Number);
  const [head = "", tail] = text.split("::");
  const groups = (part: string) => part.split(":").filter((group) => group !== "");
  const missing = tail === undefined ? 0 : 8 - groups(head).length - groups(tail).length;
  const all = [...groups(head), ...Array<string>(missing).fill("0"), ...groups(tail ?? "")];
  return Uint8Array.from(all.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]));
}
