/**
 * What kinds of routers there are: the rules of nftables that make each. Interfaces are `in0`, `in1`, ... and `out0`, ....
 * What no rule refuses is forwarded, both ways and between all interfaces.
 */

/** From outside come answers alone. */
const ANSWERS_ONLY = `
  iifname "out*" ct state established,related accept
  iifname "out*" drop`;

/** IPv4 leaves with the router's own address. The source port stays where it can. IPv6 has addresses enough. */
const MASQUERADE = `
  table ip nat {
    chain postrouting {
      type nat hook postrouting priority srcnat
      oifname "out*" masquerade
    }
  }`;

function forward(rules: string): string {
  return `
  table inet filter {
    chain forward {
      type filter hook forward priority filter
      ${rules}
    }
  }`;
}

export const ROUTER_KINDS = {
  /** Forwards everything: the internet's own. */
  open: "",
  /**
   * A home's: plain masquerade. A socket keeps its outer port whomever it talks to (endpoint-independent mapping), and
   * hears only from whom it talked to (address-and-port filtering). IPv6 goes through a firewall.
   */
  easy: MASQUERADE + forward(ANSWERS_ONLY),
  /** A hotel's: as `easy`, and no UDP at all. */
  "blocks-udp": MASQUERADE + forward(`meta l4proto udp drop ${ANSWERS_ONLY}`),
  /** A company's: addresses are routed as they are, and answers alone come in. */
  firewall: forward(ANSWERS_ONLY),
} as const satisfies Record<string, string>;

export type RouterKind = keyof typeof ROUTER_KINDS;
