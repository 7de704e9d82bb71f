/** `minitail ip [-4|-6] [PEER]` */

import { MinitailError } from "../../base/errors.ts";
import { formatAddress, parseAddress } from "../../base/ip.ts";
import type { NodeStatus, Status } from "../../daemon/api.ts";
import { statusCall } from "../../daemon/calls/status.ts";
import { LocalApiClient } from "../../daemon/local-api-client.ts";
import { declareCommand } from "../declare.ts";
import { EXIT_DONE } from "../exit-status.ts";
import { nearestWord } from "../suggest.ts";
import { tellIfSlow } from "../waiting.ts";

export default declareCommand({
  name: "ip",
  description: "addresses of this machine or of a peer, one a line",
  examples: ["minitail ip -4", "minitail ip laptop"],
  args: {
    peer: { type: "positional", required: false, valueHint: "PEER", description: "a name, an address or a node id" },
    ipv4: { type: "boolean", alias: "4", description: "only the IPv4 address" },
    ipv6: { type: "boolean", alias: "6", description: "only the IPv6 address" },
  },
  async run(args, { globals, log, output }) {
    if (args.ipv4 && args.ipv6) {
      throw new MinitailError("usage", "-4 and -6 exclude each other", { hint: "leave both out for all addresses" });
    }
    const status = await tellIfSlow(log, "the daemon", new LocalApiClient(globals.socketPath).call(statusCall));
    const node = args.peer === undefined ? selfOf(status) : findNode(status, args.peer);
    const addresses = node.addresses.filter((address) => {
      const isIpv6 = address.includes(":");
      return isIpv6 ? !args.ipv4 : !args.ipv6;
    });
    if (addresses.length === 0) throw new MinitailError("invalid", `${node.name} has no such address`);
    if (globals.json) output.json({ addresses });
    else for (const address of addresses) output.line(address);
    return EXIT_DONE;
  },
});

function selfOf(status: Status): NodeStatus {
  if (status.self) return status.self;
  throw new MinitailError("invalid", "this machine has no address yet", {
    hint: "minitail status says why",
  });
}

/** By name, DNS name, address or node id, as `ping` finds it. */
function findNode(status: Status, word: string): NodeStatus {
  const nodes = status.self ? [status.self, ...status.peers] : status.peers;
  const address = parseAddress(word);
  const wanted = address ? formatAddress(address) : word.toLowerCase();
  const found = nodes.find(({ id, name, dnsName, addresses }) => [id, name, dnsName, ...addresses].includes(wanted));
  if (found) return found;
  const nearest = nearestWord(
    word,
    nodes.map((node) => node.name),
  );
  throw new MinitailError("no-such-peer", `no machine ${JSON.stringify(word)} in this network`, {
    hint: nearest ? `did you mean ${nearest}?` : "minitail status lists them",
  });
}
