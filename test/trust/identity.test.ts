import { describe, expect, test } from "bun:test";
import { formatAddress, formatPrefix, prefixContains } from "../../src/base/ip.ts";
import {
  decodeIdentity,
  encodeIdentity,
  formatNodeId,
  formatTailnetId,
  machineIpv6Address,
  nodeIdOf,
  parseNodeId,
  tailnetIpv6Prefix,
  tailnetLabel,
} from "../../src/trust/identity.ts";
import { machine } from "./fixture.ts";

const TAILNET_ID = Uint8Array.from({ length: 20 }, (_, i) => i);

describe("identity", () => {
  test("private keys come back from disk, and cut or foreign bytes do not", () => {
    const identity = machine("a");
    const bytes = encodeIdentity(identity);
    expect(decodeIdentity(bytes)).toEqual(identity);
    expect(decodeIdentity(bytes.slice(0, -1))).toBeUndefined();
    expect(decodeIdentity(new Uint8Array(bytes.length))).toBeUndefined();
  });

  test("a node id is one text of 17 characters", () => {
    const id = nodeIdOf(machine("a").machineKey.publicKey);
    expect(id).toMatch(/^n[a-z2-7]{16}$/);
    expect(formatNodeId(parseNodeId(id)!)).toBe(id);
    expect(nodeIdOf(machine("b").machineKey.publicKey)).not.toBe(id);
  });

  test.each(["", "n", "naaaaaaaaaaaaaaa", "xaaaaaaaaaaaaaaaa", "nAAAAAAAAAAAAAAAA", "naaaaaaaaaaaaaaa1"])(
    "%p is no node id",
    (text) => {
      expect(parseNodeId(text)).toBeUndefined();
    },
  );

  test("a tailnet id is one text of 32 characters", () => {
    const text = formatTailnetId(TAILNET_ID);
    expect(text).toMatch(/^[a-z2-7]{32}$/);
    expect(tailnetLabel(TAILNET_ID)).toBe(text.slice(0, 8));
  });

  test("the IPv6 address is the tailnet's /48 and 80 bits of the hash of the machine key", () => {
    const { publicKey } = machine("a").machineKey;
    const prefix = tailnetIpv6Prefix(TAILNET_ID);
    const address = machineIpv6Address(TAILNET_ID, publicKey);
    expect(formatPrefix(prefix)).toBe("fd00:102:304::/48");
    expect(prefixContains(prefix, address)).toBe(true);
    // Who sees the node id does not know the address.
    expect(formatNodeId(address.slice(6))).not.toBe(nodeIdOf(publicKey));
    expect(formatAddress(address)).not.toBe(
      formatAddress(machineIpv6Address(TAILNET_ID, machine("b").machineKey.publicKey)),
    );
  });
});
