/** Our handshake and packets, read by tshark's WireGuard dissector with the keys. Needs root. */

import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { concatBytes, formatBase64 } from "../../src/base/bytes.ts";
import { parseAddress, parseEndpoint, parsePrefix } from "../../src/base/ip.ts";
import { loadTransportCipher } from "../../src/crypto/load-transport-cipher.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { clampX25519PrivateKey, generateX25519PrivateKey, x25519PublicKey } from "../../src/crypto/x25519.ts";
import { SharedTables } from "../../src/dataplane/shared-tables.ts";
import { TableWriter } from "../../src/dataplane/table-writer.ts";
import { HEADROOM_BYTES, PACKET_BUFFER_LENGTH_BYTES, Transmitter } from "../../src/dataplane/transmit.ts";
import { encodeEchoRequest } from "../../src/wire/icmp.ts";
import { internetChecksum } from "../../src/wire/ip.ts";
import type { Action } from "../../src/wireguard/action.ts";
import { Device } from "../../src/wireguard/device.ts";
import { Lab } from "../lab/index.ts";
import { requireCommand } from "../machine/command.ts";
import { PORT, startPair } from "./wireguard-pair.ts";

const LIMIT_MS = 60_000;

test(
  "tshark decodes the handshake with the keys: static key, timestamp and the answer's emptiness",
  async () => {
    await using lab = await Lab.create("tshark");
    const [a, b] = await startPair(lab, { programs: ["minitail", "minitail"], family: 4, presharedKey: false });
    const tcpdump = b.host.spawn([
      "tcpdump",
      "--immediate-mode",
      "-i",
      "eth0",
      "-U",
      "-w",
      "/run/x.pcap",
      "udp",
      "port",
      String(PORT),
    ]);
    await tcpdump.waitForOutput(/listening on/, 10_000);
    await a.host.output(["ping", "-n", "-c", "2", "-i", "0.2", b.addresses[0]]);
    await tcpdump.stop("SIGINT");
    const keyLog = [`LOCAL_STATIC_PRIVATE_KEY=${a.privateKey}`, `REMOTE_STATIC_PUBLIC_KEY=${b.publicKey}`];
    keyLog.push(`LOCAL_STATIC_PRIVATE_KEY=${b.privateKey}`, `REMOTE_STATIC_PUBLIC_KEY=${a.publicKey}`);
    writeFileSync(b.host.path("/run/keys.log"), `${keyLog.join("\n")}\n`);
    const fields = ["wg.type", "wg.static", "wg.static.known_pubkey", "wg.timestamp.value", "wg.handshake_ok"];
    const decoded = await b.host.output([
      "tshark",
      "-r",
      "/run/x.pcap",
      "-o",
      "wg.keylog_file:/run/keys.log",
      "-d",
      `udp.port==${PORT},wg`,
      "-T",
      "fields",
      ...fields.flatMap((field) => ["-e", field]),
    ]);
    const rows = decoded
      .trimEnd()
      .split("\n")
      .map((line) => line.split("\t"));
    const [initiation, response, ...packets] = rows;
    expect(initiation![0]).toBe("1");
    expect(initiation![1]).toBe(a.publicKey);
    expect(Math.abs(Date.parse(initiation![3]!.replace(/ UTC$/, "Z")) - Date.now())).toBeLessThan(LIMIT_MS);
    expect(response![0]).toBe("2");
    expect(packets.length).toBeGreaterThanOrEqual(4);
    expect(new Set(packets.map(([type]) => type))).toEqual(new Set(["4"]));
    expect(
      await b.host.output(["tshark", "-r", "/run/x.pcap", "-Y", "_ws.malformed || !(wg.reserved == 00:00:00)"]),
    ).toBe("");
  },
  LIMIT_MS,
);

/** A device whose random draws are kept, ephemeral keys among them. */
function makeDevice(privateKey: Uint8Array, peerKey: Uint8Array): { device: Device; draws: Uint8Array[] } {
  const draws: Uint8Array[] = [];
  const never = { lastSentMs: 0, lastReceivedMs: 0, firstUnansweredSentMs: 0, firstUnansweredReceivedMs: 0 };
  const device = new Device({
    random: (lengthBytes) => {
      const drawn = systemRandom(lengthBytes);
      draws.push(drawn);
      return drawn;
    },
    unixMs: () => Date.now(),
    readActivity: () => never,
    watchActivity: () => {},
  });
  const allowedIps = [{ prefix: parsePrefix("0.0.0.0/0")! }];
  device.configure({ privateKey, peers: [{ publicKey: peerKey, endpoint: ENDPOINTS[1], allowedIps }] }, 1000);
  return { device, draws };
}

const ENDPOINTS = [parseEndpoint("192.0.2.1:51820")!, parseEndpoint("192.0.2.2:51820")!] as const;

function sentBy(actions: readonly Action[]): Uint8Array {
  const sent = actions.find((action) => action.type === "send");
  return (sent as Extract<Action, { type: "send" }>).bytes;
}

/** The packet, sealed by the data plane under the session that `actions` add. */
function sealPacket(actions: readonly Action[], packet: Uint8Array): Uint8Array {
  const session = actions.find((action) => action.type === "add-session")!;
  const tables = new SharedTables();
  const writer = new TableWriter(tables);
  writer.setMtu(1420);
  writer.addPeer(session.slot);
  writer.setAllowedIp(parsePrefix("0.0.0.0/0")!, session.slot);
  writer.addSession(session);
  writer.useSession(session.slot, session.localIndex);
  let message = new Uint8Array(0);
  const wire = {
    send: (_slot: number, buffer: Uint8Array, offset: number, lengthBytes: number) => {
      message = buffer.slice(offset, offset + lengthBytes);
      return true;
    },
  };
  const scratch = new Uint8Array(PACKET_BUFFER_LENGTH_BYTES);
  const events = { handshakeWanted() {}, activity() {}, deliver() {} };
  const buffer = new Uint8Array(PACKET_BUFFER_LENGTH_BYTES);
  buffer.set(packet, HEADROOM_BYTES);
  const transmitter = new Transmitter(tables, loadTransportCipher(), wire, events, scratch);
  transmitter.handlePacket(buffer, HEADROOM_BYTES, packet.length, 1010);
  return message;
}

/** A capture file of raw IPv4 packets (pcap, link type 101) that carry these datagrams from one endpoint to the other. */
function captureOf(datagrams: readonly { readonly from: 0 | 1; readonly payload: Uint8Array }[]): Uint8Array {
  const header = new Uint8Array(24);
  const view = new DataView(header.buffer);
  for (const [offset, value] of [
    [0, 0xa1b2c3d4],
    [16, 65_535],
    [20, 101],
  ] as const)
    view.setUint32(offset, value, true);
  view.setUint16(4, 2, true);
  view.setUint16(6, 4, true);
  return concatBytes(header, ...datagrams.map(({ from, payload }) => frameOf(from, payload)));
}

function frameOf(from: 0 | 1, payload: Uint8Array): Uint8Array {
  const packet = new Uint8Array(28 + payload.length);
  const view = new DataView(packet.buffer);
  packet[0] = 0x45;
  view.setUint16(2, packet.length);
  packet[8] = 64;
  packet[9] = 17;
  packet.set(ENDPOINTS[from].address, 12);
  packet.set(ENDPOINTS[from === 0 ? 1 : 0].address, 16);
  view.setUint16(10, internetChecksum(packet, 0, 20));
  view.setUint16(20, PORT);
  view.setUint16(22, PORT);
  view.setUint16(24, 8 + payload.length);
  packet.set(payload, 28);
  const record = new Uint8Array(16);
  new DataView(record.buffer).setUint32(8, packet.length, true);
  new DataView(record.buffer).setUint32(12, packet.length, true);
  return concatBytes(record, packet);
}

test("tshark opens initiation, response and packet with the static and ephemeral keys", async () => {
  const keys = [generateX25519PrivateKey(systemRandom), generateX25519PrivateKey(systemRandom)] as const;
  const a = makeDevice(keys[0], x25519PublicKey(keys[1]));
  const b = makeDevice(keys[1], x25519PublicKey(keys[0]));
  const initiation = sentBy(a.device.handleHandshakeWanted(0, 1000));
  const response = sentBy(b.device.handleMessage(initiation, ENDPOINTS[0], 1001));
  const established = a.device.handleMessage(response, ENDPOINTS[1], 1002);
  const packet = encodeEchoRequest({
    source: parseAddress("10.9.0.1")!,
    destination: parseAddress("10.9.0.2")!,
    identifier: 1,
    sequence: 1,
    token: new Uint8Array(8),
    dataBytes: 40,
  });
  const folder = mkdtempSync(join(tmpdir(), "minitail-tshark-"));
  try {
    const capture = captureOf([
      { from: 0, payload: initiation },
      { from: 1, payload: response },
      { from: 0, payload: sealPacket(established, packet) },
    ]);
    writeFileSync(join(folder, "x.pcap"), capture);
    const ephemerals = a.draws.filter(({ length }) => length === 32).map(clampX25519PrivateKey);
    const lines = [
      `LOCAL_STATIC_PRIVATE_KEY=${formatBase64(keys[0])}`,
      `REMOTE_STATIC_PUBLIC_KEY=${formatBase64(x25519PublicKey(keys[1]))}`,
      ...ephemerals.map((key) => `LOCAL_EPHEMERAL_PRIVATE_KEY=${formatBase64(key)}`),
    ];
    writeFileSync(join(folder, "keys.log"), `${lines.join("\n")}\n`);
    const options = ["-r", join(folder, "x.pcap"), "-o", `wg.keylog_file:${join(folder, "keys.log")}`];
    const fields = ["wg.type", "wg.handshake_ok", "wg.static", "ip.dst", "icmp.type"];
    const decoded = await requireCommand([
      "tshark",
      ...options,
      ...["-d", `udp.port==${PORT},wg`, "-T", "fields"],
      ...fields.flatMap((field) => ["-e", field]),
    ]);
    expect(decoded.split("\n").map((line) => line.split("\t"))).toEqual([
      ["1", "", formatBase64(x25519PublicKey(keys[0])), "192.0.2.2", ""],
      ["2", "1", "", "192.0.2.1", ""],
      ["4", "", "", "192.0.2.2,10.9.0.2", "8"],
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
