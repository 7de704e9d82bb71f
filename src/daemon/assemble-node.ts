/** Puts a node together: the interface and the tunnel as the tailnet wants them, and what the node does with them. */

import { systemClock } from "../base/clock.ts";
import { MinitailError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { configureInterface, restoreInterface } from "../host/interface-configuration.ts";
import { refuseSameNetwork } from "../host/pool-routes.ts";
import { tailnetIpv6Prefix } from "../trust/identity.ts";
import { EchoClient } from "./echo.ts";
import { InterfaceUpkeep } from "./interface-upkeep.ts";
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

/** Resolves when packets are carried; nobody is told of it yet. Throws `interface-taken`. */
export async function assembleNode({ settings, membership, tunnel, wire, log }: NodeInput): Promise<RunningNode> {
  const { tailnet, nodeKey } = membership;
  const { interfaceName, mtuBytes, suffix } = settings;
  const netmap = tailnet.netmap(suffix);
  if (!netmap) throw new MinitailError("internal", "this machine is no member of its tailnet");
  refuseSameNetwork(netmap.pool, interfaceName);
  const wanted = {
    name: interfaceName,
    mtuBytes,
    addresses: netmap.self.addresses,
    routes: [...netmap.pool, tailnetIpv6Prefix(netmap.tailnetId)],
  };
  const { ipv6 } = configureInterface(wanted);
  const ownInterface = new InterfaceUpkeep({ wanted, ipv6, restore: restoreInterface, clock: systemClock, log });
  const addresses = ipv6 ? netmap.self.addresses : [netmap.self.addresses[0]];
  tunnel.configure({ privateKey: nodeKey.current.privateKey });
  log.debug("start: the data plane runs");
  await tunnel.setWire(wire.fd);
  log.debug(`start: packets go by UDP port ${wire.port}`);
  const mesh = new Mesh(tunnel);
  const echo = new EchoClient((packet) => tunnel.sendPacket(packet));
  const peerApi = new PeerApi({ tailnet, mesh, interfaceName, addresses });
  mesh.setNetmap(netmap);
  return new RunningNode({ settings, membership, tunnel, ownInterface, mesh, echo, peerApi, port: wire.port });
}
