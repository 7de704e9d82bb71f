/** Puts a node together: the interface and the tunnel as the tailnet wants them, and what the node does with them. */

import { MinitailError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { configureInterface } from "../host/interface.ts";
import { tailnetIpv6Prefix } from "../trust/identity.ts";
import type { HealthItem } from "./api.ts";
import { EchoClient } from "./echo.ts";
import type { Membership } from "./membership.ts";
import { Mesh } from "./mesh.ts";
import { PeerApi } from "./peer-api/peer-api.ts";
import { RunningNode } from "./running-node.ts";
import type { Settings } from "./settings.ts";
import type { Tunnel } from "./tunnel.ts";
import type { UdpWire } from "./udp-wire.ts";

export interface NodeInput {
  readonly settings: Settings;
  readonly membership: Membership;
  /** Without keys and wire yet. */
  readonly tunnel: Tunnel;
  readonly wire: UdpWire;
  readonly log: Log;
}

/** Resolves when packets are carried; nobody is told of it yet. `health` is what the node has to do without. */
export async function assembleNode({ settings, membership, tunnel, wire, log }: NodeInput): Promise<{
  readonly node: RunningNode;
  readonly health: readonly HealthItem[];
}> {
  const { tailnet, nodeKey } = membership;
  const { interfaceName, mtuBytes, suffix } = settings;
  const netmap = tailnet.netmap(suffix);
  if (!netmap) throw new MinitailError("internal", "this machine is no member of its tailnet");
  const { ipv6 } = configureInterface({
    name: interfaceName,
    mtuBytes,
    addresses: netmap.self.addresses,
    routes: [...netmap.pool, tailnetIpv6Prefix(netmap.tailnetId)],
  });
  const addresses = ipv6 ? netmap.self.addresses : [netmap.self.addresses[0]];
  tunnel.configure({ privateKey: nodeKey.current.privateKey });
  log.debug("start: the data plane runs");
  await tunnel.setWire(wire.fd);
  log.debug(`start: packets go by UDP port ${wire.port}`);
  const mesh = new Mesh(tunnel);
  const echo = new EchoClient((packet) => tunnel.sendPacket(packet));
  const peerApi = new PeerApi({ tailnet, mesh, interfaceName, addresses });
  mesh.setNetmap(netmap);
  const node = new RunningNode({ settings, membership, tunnel, mesh, echo, peerApi, port: wire.port });
  return { node, health: ipv6 ? [] : [IPV6_OFF] };
}

const IPV6_OFF: HealthItem = {
  code: "ipv6-off",
  message: "this machine has IPv6 switched off: the tunnel carries IPv4 alone",
  hint: "set net.ipv6.conf.all.disable_ipv6 and net.ipv6.conf.default.disable_ipv6 to 0, then start again",
};
