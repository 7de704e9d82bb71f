import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { formatHex } from "../../src/base/bytes.ts";
import { formatPrefix, parseEndpoint, parsePrefix } from "../../src/base/ip.ts";
import type { UapiChange } from "../../src/uapi/device.ts";
import { UapiErrno } from "../../src/uapi/errno.ts";
import { formatGet } from "../../src/uapi/format-get.ts";
import { parseSet } from "../../src/uapi/parse-set.ts";
import { FakeDevice } from "./fake-device.ts";

const key = (byte: number) => new Uint8Array(32).fill(byte);
const keyHex = (byte: number) => formatHex(key(byte));
const findZone = (interfaceName: string) => (interfaceName === "eth0" ? 3 : undefined);
const PEER = `public_key=${keyHex(0xaa)}\n`;

function parsed(text: string): UapiChange {
  const change = parseSet(text, findZone);
  if ("errno" in change) throw new Error(`errno ${change.errno}`);
  return change;
}

test("nothing asks for nothing", () => {
  expect(parsed("")).toEqual({ configuration: {} });
});

test("every key", () => {
  const text = [
    `private_key=${keyHex(1)}`,
    "listen_port=51820",
    "fwmark=4294967295",
    "replace_peers=true",
    `public_key=${keyHex(0xaa)}`,
    "update_only=true",
    `preshared_key=${keyHex(3).toUpperCase()}`,
    "endpoint=[2001:db8::1]:7411",
    "persistent_keepalive_interval=65535",
    "replace_allowed_ips=true",
    "allowed_ip=10.1.2.3/8",
    "allowed_ip=-fd00::1/128",
    "protocol_version=1",
    `public_key=${keyHex(0xbb)}`,
    "remove=true",
  ].join("\n");
  expect(parsed(text)).toEqual({
    listenPort: 51820,
    fwmark: 4294967295,
    configuration: {
      privateKey: key(1),
      replacePeers: true,
      peers: [
        {
          publicKey: key(0xaa),
          updateOnly: true,
          presharedKey: key(3),
          endpoint: parseEndpoint("[2001:db8::1]:7411")!,
          persistentKeepaliveSeconds: 65535,
          replaceAllowedIps: true,
          allowedIps: [{ prefix: parsePrefix("10.0.0.0/8")! }, { prefix: parsePrefix("fd00::1/128")!, remove: true }],
        },
        { publicKey: key(0xbb), remove: true },
      ],
    },
  });
});

test("zeros: no port, no mark, no keepalive, keys taken away", () => {
  const text = `private_key=${keyHex(0)}\nlisten_port=0\nfwmark=0\n${PEER}preshared_key=${keyHex(0)}\npersistent_keepalive_interval=0\n`;
  expect(parsed(text)).toEqual({
    listenPort: 0,
    fwmark: 0,
    configuration: {
      privateKey: key(0),
      peers: [{ publicKey: key(0xaa), presharedKey: key(0), persistentKeepaliveSeconds: 0 }],
    },
  });
});

test("the same peer twice is two changes, in order", () => {
  const { configuration } = parsed(`${PEER}allowed_ip=10.0.0.1/32\n${PEER}remove=true\n`);
  expect(configuration.peers?.map((peer) => peer.remove)).toEqual([undefined, true]);
});

test("replace_allowed_ips takes away what stood before it", () => {
  const { configuration } = parsed(`${PEER}allowed_ip=10.0.0.1/32\nreplace_allowed_ips=true\nallowed_ip=10.0.0.2/32\n`);
  expect(configuration.peers?.[0]?.allowedIps?.map(({ prefix }) => formatPrefix(prefix))).toEqual(["10.0.0.2/32"]);
});

describe("EINVAL", () => {
  test.each([
    "unknown=1",
    "=",
    "=1",
    "private_key=",
    `private_key=${keyHex(1).slice(1)}`,
    `private_key=${keyHex(1)}00`,
    `private_key=${keyHex(1).replace("0", "g")}`,
    "listen_port=",
    "listen_port=65536",
    "listen_port=-1",
    "listen_port=+1",
    "listen_port=1 ",
    "listen_port=0x10",
    "listen_port=1e3",
    "fwmark=4294967296",
    "fwmark=off",
    "fwmark=99999999999999999999999",
    "replace_peers=false",
    "replace_peers=",
    "public_key=",
    `public_key=${keyHex(1)} `,
    "protocol_version=1",
    "remove=true",
    "allowed_ip=10.0.0.0/8",
    `${PEER}listen_port=1`,
    `${PEER}private_key=${keyHex(1)}`,
    `${PEER}replace_peers=true`,
    `${PEER}unknown=1`,
    `${PEER}protocol_version=2`,
    `${PEER}remove=false`,
    `${PEER}update_only=1`,
    `${PEER}preshared_key=abc`,
    `${PEER}endpoint=example.com:1`,
    `${PEER}endpoint=1.2.3.4`,
    `${PEER}endpoint=1.2.3.4:65536`,
    `${PEER}endpoint=2001:db8::1:7411`,
    `${PEER}endpoint=`,
    `${PEER}endpoint=[fe80::1%eth9]:1`,
    `${PEER}endpoint=[2001:db8::1%eth0]:1`,
    `${PEER}persistent_keepalive_interval=65536`,
    `${PEER}persistent_keepalive_interval=off`,
    `${PEER}replace_allowed_ips=1`,
    `${PEER}allowed_ip=10.0.0.0`,
    `${PEER}allowed_ip=10.0.0.0/33`,
    `${PEER}allowed_ip=fd00::/129`,
    `${PEER}allowed_ip=--10.0.0.0/8`,
    `${PEER}allowed_ip=+10.0.0.0/8`,
    `${PEER}allowed_ip=-`,
    `${PEER}allowed_ip=`,
    "listen_port=1\r",
  ])("%p", (text) => {
    expect(parseSet(text, findZone)).toEqual({ errno: UapiErrno.invalid });
  });
});

test.each(["x", "listen_port", `${PEER}allowed_ip`, " "])("EPROTO: %p", (text) => {
  expect(parseSet(text, findZone)).toEqual({ errno: UapiErrno.protocol });
});

test("any text is understood or refused", () => {
  const line = fc.oneof(
    fc.string({ maxLength: 30 }),
    fc.constantFrom(
      PEER.trim(),
      "remove=true",
      "allowed_ip=10.0.0.0/8",
      "allowed_ip=-::/0",
      "endpoint=[::1]:1",
      "fwmark=7",
    ),
  );
  fc.assert(
    fc.property(fc.array(line), (lines) => {
      const change = parseSet(lines.join("\n"), findZone);
      expect("errno" in change || "configuration" in change).toBe(true);
    }),
    { seed: 51820, numRuns: 300 },
  );
});

describe("format of get", () => {
  test("an empty device", () => {
    expect(formatGet(new FakeDevice().get())).toBe("");
  });

  test("every line", () => {
    const device = new FakeDevice();
    device.set(
      parsed(
        `private_key=${keyHex(1)}\nlisten_port=7411\nfwmark=51820\n${PEER}preshared_key=${keyHex(2)}\nendpoint=192.0.2.1:1\n` +
          `persistent_keepalive_interval=25\nallowed_ip=10.0.0.0/8\nallowed_ip=fd00::/64\npublic_key=${keyHex(0xbb)}\n`,
      ),
    );
    device.peers[0]!.lastHandshakeMs = 1234.56;
    expect(formatGet(device.get()).split("\n")).toEqual([
      `private_key=${keyHex(1)}`,
      "listen_port=7411",
      "fwmark=51820",
      `public_key=${keyHex(0xaa)}`,
      `preshared_key=${keyHex(2)}`,
      "protocol_version=1",
      "endpoint=192.0.2.1:1",
      "last_handshake_time_sec=1700000001",
      "last_handshake_time_nsec=234000000",
      "tx_bytes=1000",
      "rx_bytes=2000",
      "persistent_keepalive_interval=25",
      "allowed_ip=10.0.0.0/8",
      "allowed_ip=fd00::/64",
      `public_key=${keyHex(0xbb)}`,
      `preshared_key=${keyHex(0)}`,
      "protocol_version=1",
      "last_handshake_time_sec=0",
      "last_handshake_time_nsec=0",
      "tx_bytes=1001",
      "rx_bytes=2001",
      "persistent_keepalive_interval=0",
      "",
    ]);
  });

  test("what is read, less the facts, can be set and reads the same", () => {
    const byte = fc.integer({ min: 1, max: 255 });
    const prefix = fc
      .tuple(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.nat(32))
      .map(([address, lengthBits]) => `allowed_ip=${formatPrefix({ address, lengthBits })}\n`);
    fc.assert(
      fc.property(fc.uniqueArray(byte, { maxLength: 5 }), fc.array(prefix), fc.nat(65535), (peers, prefixes, port) => {
        const device = new FakeDevice();
        const perPeer = peers.map((peer) => `public_key=${keyHex(peer)}\n${prefixes.join("")}`).join("");
        device.set(parsed(`private_key=${keyHex(9)}\nlisten_port=${port}\n${perPeer}`));
        const first = formatGet(device.get());
        const facts = /^(last_handshake_time_n?sec|[tr]x_bytes)=/;
        const again = new FakeDevice();
        again.set(
          parsed(
            first
              .split("\n")
              .filter((line) => !facts.test(line))
              .join("\n"),
          ),
        );
        expect(formatGet(again.get())).toBe(first);
      }),
      { seed: 4, numRuns: 50 },
    );
  });
});
