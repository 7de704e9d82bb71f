/** A router: a host that forwards between its inside and its outside, by the rules of its kind. */

import { type EndOptions, Host } from "./host.ts";
import { ROUTER_KINDS, type RouterKind } from "./router-kinds.ts";

export class Router extends Host {
  /** Begins to forward. Only its laboratory calls this. */
  async start(kind: RouterKind): Promise<void> {
    const ruleset = ROUTER_KINDS[kind];
    if (ruleset !== "") await this.output(["nft", "-f", "-"], { stdin: ruleset });
    this.setSysctl("net.ipv4.ip_forward", 1);
    this.setSysctl("net.ipv6.conf.all.forwarding", 1);
  }

  protected override interfacePrefix({ side = "inside" }: EndOptions): string {
    return side === "inside" ? "in" : "out";
  }
}
