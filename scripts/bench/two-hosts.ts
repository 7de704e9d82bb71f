/**
 * The network that rivals run on: two hosts of the laboratory, joined by one cable without a switch in between, which
 * would cost time of its own.
 *
 *     left  198.51.100.1 ──── veth, MTU 1500 ──── 198.51.100.2  right
 */

import { addAddress, changeLink, createVeth, getLink } from "bun-ffi-tun";
import { parseAddress } from "../../src/base/ip.ts";
import { Lab, type Host as LabHost } from "../../test/lab/index.ts";

/** The name of its end on either host. */
export const CABLE = "cable";
const PREFIX_LENGTH_BITS = 24;

export interface Host {
  readonly lab: LabHost;
  /** On the cable, outside any tunnel. */
  readonly address: string;
}

export interface TwoHosts extends AsyncDisposable {
  readonly left: Host;
  readonly right: Host;
}

/** Builds the network; disposing of it removes it and ends all that runs there. Needs root. */
export async function buildTwoHosts(): Promise<TwoHosts> {
  const lab = await Lab.create("bench");
  try {
    const left = { lab: await lab.host("left"), address: "198.51.100.1" };
    const right = { lab: await lab.host("right"), address: "198.51.100.2" };
    createVeth(left.lab.netlink, { name: CABLE }, { name: CABLE, namespaceFd: right.lab.namespaceFd });
    for (const host of [left, right]) {
      plugIn(host);
      // A connection must not begin with what TCP learnt of the rival before it, which had the same addresses.
      host.lab.setSysctl("net.ipv4.tcp_no_metrics_save", 1);
    }
    return { left, right, [Symbol.asyncDispose]: () => lab[Symbol.asyncDispose]() };
  } catch (error) {
    await lab[Symbol.asyncDispose]();
    throw error;
  }
}

function plugIn({ lab: { netlink }, address }: Host): void {
  const linkIndex = getLink(netlink, CABLE)!.index;
  addAddress(netlink, { linkIndex, address: parseAddress(address)!, lengthBits: PREFIX_LENGTH_BITS });
  changeLink(netlink, linkIndex, { up: true });
}
