/**
 * The room with the switches of a laboratory: a network namespace of their own, in which each switch is a bridge, and
 * each cable ends at a port of one. A cable from host to host has a small switch to itself: so both ends lose their
 * carrier when it is cut, and what disturbs a cable (loss; a queue that delays) always sits here, unseen by the hosts.
 */

import {
  changeLink,
  createBridge,
  createVeth,
  getLink,
  inNamespace,
  type NetlinkSocket,
  openNetlink,
} from "bun-ffi-tun";
import { writeSysctl } from "./sysctl.ts";

/** What hosts are plugged into. */
export interface Switch {
  readonly name: string;
  readonly bridgeIndex: number;
}

/** Where a cable ends in a switch. */
export interface Port {
  readonly name: string;
  readonly index: number;
}

/** The end of a cable that is a host's. */
export interface HostEnd {
  readonly namespaceFd: number;
  readonly interfaceName: string;
  readonly mtu: number | undefined;
}

/**
 * Ports are numbered from here, hosts' interfaces from 2: the kernel takes its time (up to a second) to notice the
 * carrier of a veth whose two ends have the same number (linkwatch_urgent_event).
 */
const FIRST_PORT_INDEX = 10_000;
/** One in so many: the precision of a share of lost packets. */
const LOSS_STEPS = 10_000;

export class SwitchRoom {
  readonly #namespaceFd: number;
  readonly #netlink: NetlinkSocket;
  readonly #lossOfPorts = new Map<string, number>();
  #bridges = 0;
  #ports = 0;

  constructor(namespaceFd: number) {
    this.#namespaceFd = namespaceFd;
    this.#netlink = inNamespace(namespaceFd, openNetlink);
    // Switches have no addresses, and send nothing of their own.
    writeSysctl(namespaceFd, "net.ipv6.conf.default.disable_ipv6", 1);
  }

  createSwitch(name: string): Switch {
    const bridgeName = `switch${this.#bridges++}`;
    createBridge(this.#netlink, bridgeName, { up: true });
    return { name, bridgeIndex: getLink(this.#netlink, bridgeName)!.index };
  }

  /** Plugs a new cable into `to`; its other end appears in the host's namespace, down. */
  plug(to: Switch, { namespaceFd, interfaceName, mtu }: HostEnd): Port {
    const number = this.#ports++;
    const port = { name: `port${number}`, index: FIRST_PORT_INDEX + number };
    const sameMtu = mtu === undefined ? {} : { mtu };
    createVeth(
      this.#netlink,
      { ...port, ...sameMtu, masterIndex: to.bridgeIndex, up: true },
      { name: interfaceName, namespaceFd, ...sameMtu },
    );
    return port;
  }

  setPortUp(port: Port, up: boolean): void {
    changeLink(this.#netlink, port.index, { up });
  }

  /** Loses that share (0 to 1) of the IP packets that pass a port, each way, at random; ARP passes. */
  setLoss(ports: readonly Port[], share: number): void {
    for (const { name } of ports) this.#lossOfPorts.set(name, share);
    const rules = [...this.#lossOfPorts].flatMap(([name, lossOfPort]) => [
      `iifname ${name} ${lossRule(lossOfPort)}`,
      `oifname ${name} ${lossRule(lossOfPort)}`,
    ]);
    const ruleset = `
      table bridge loss
      delete table bridge loss
      table bridge loss {
        chain forward {
          type filter hook forward priority filter
          ${rules.join("\n")}
        }
      }`;
    const { success, stderr } = inNamespace(this.#namespaceFd, () =>
      Bun.spawnSync(["nft", "-f", "-"], { stdin: Buffer.from(ruleset) }),
    );
    if (!success) throw new Error(`nft refused the loss of packets: ${stderr.toString()}`);
  }

  close(): void {
    this.#netlink.close();
  }
}

/** What is to happen to the packets of a port. */
function lossRule(share: number): string {
  const lostOfSteps = Math.round(share * LOSS_STEPS);
  if (lostOfSteps <= 0) return "continue";
  const packets = "ether type { ip, ip6 }";
  return lostOfSteps >= LOSS_STEPS
    ? `${packets} drop`
    : `${packets} numgen random mod ${LOSS_STEPS} < ${lostOfSteps} drop`;
}
