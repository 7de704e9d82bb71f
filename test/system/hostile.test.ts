/** Datagrams from strangers: they change nothing, and nobody answers. Needs root. */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { eventually, Lab } from "../lab/index.ts";
import { expectReplies, PORT, startPair, wgDump } from "./wireguard-pair.ts";

const DATAGRAMS = 20_000;
/** The largest that UDP over IPv4 carries. */
const LARGEST_BYTES = 65_507;
const SEED = 20261121;
const LIMIT_MS = 120_000;

/** Numbers of 0 to 1 from a seed (xorshift32), so that a failure can be repeated. */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Random bytes; every other one has the type and nearly the length of a message of WireGuard's. */
function makeDatagram(index: number, random: () => number): Uint8Array {
  if (index % 2000 === 0) return randomBytes(LARGEST_BYTES, random);
  if (index % 2 === 0) return randomBytes(Math.floor(random() * 1500), random);
  const type = 1 + Math.floor(random() * 4);
  const lengthBytes = [148, 92, 64, 32 + 16 * Math.floor(random() * 80)][type - 1]!;
  const datagram = randomBytes(lengthBytes + (random() < 0.3 ? Math.floor(random() * 5) - 2 : 0), random);
  datagram.set([type, 0, 0, 0]);
  return datagram;
}

function randomBytes(lengthBytes: number, random: () => number): Uint8Array {
  return Uint8Array.from({ length: lengthBytes }, () => random() * 256);
}

/** Bit flips, cuts and repetitions of a datagram that was real. */
function bend(real: Uint8Array, random: () => number): Uint8Array {
  const bent = real.slice(0, random() < 0.3 ? Math.floor(random() * real.length) : real.length);
  for (let i = 0; i < 3 && bent.length > 0; i++) bent[Math.floor(random() * bent.length)]! ^= 1 << (random() * 8);
  return bent;
}

test(
  "20,000 random, truncated, oversized and forged datagrams change nothing, and nothing is sent back",
  async () => {
    await using lab = await Lab.create("hostile");
    const [a, b] = await startPair(lab, { programs: ["minitail", "wireguard-go"], family: 4, presharedKey: false });
    expect((await a.host.run(["ping", "-n", "-c", "3", "-i", "0.1", b.addresses[0]])).status).toBe(0);
    const before = await wgDump(a.host);
    const writtenBefore = a.program.stderr;

    // Real ones, from the cable.
    const capture = b.host.path("/run/real.pcap");
    const tcpdump = b.host.spawn([
      "tcpdump",
      "--immediate-mode",
      "-i",
      "eth0",
      "-U",
      "-w",
      "/run/real.pcap",
      "udp",
      "port",
      String(PORT),
    ]);
    await tcpdump.waitForOutput(/listening on/, 10_000);
    await a.host.output(["ping", "-n", "-c", "5", "-i", "0.1", b.addresses[0]]);
    await tcpdump.stop("SIGINT");
    const real = datagramsOf(readFileSync(capture));
    expect(real.length).toBeGreaterThanOrEqual(10);

    const stranger = await lab.host("stranger");
    stranger.connect(a.host, { address: "198.51.100.2/24", peer: { address: "198.51.100.1/24" } });
    const answers: number[] = [];
    const random = seededRandom(SEED);
    const socket = await stranger.inNetwork(() =>
      Bun.udpSocket({
        hostname: "198.51.100.2",
        socket: { data: (_socket, data) => void answers.push(data.length), error() {} },
      }),
    );
    try {
      for (let i = 0; i < DATAGRAMS; i++) {
        const datagram = i % 5 === 4 ? bend(real[i % real.length]!, random) : makeDatagram(i, random);
        socket.send(datagram, PORT, "198.51.100.1");
        // Lets the receiving side keep pace, so that none is lost unseen.
        if (i % 50 === 0) await Bun.sleep(1);
      }
      await expectReplies(a.host, b.addresses[0], 20);
      expect((await b.host.run(["ping", "-n", "-c", "3", "-i", "0.1", a.addresses[1]])).status).toBe(0);
      const after = await wgDump(a.host);
      expect({ ...after, rxBytes: 0, txBytes: 0 }).toEqual({ ...before, rxBytes: 0, txBytes: 0 });
      await eventually("the program to be idle", async () => (await wgDump(a.host)).endpoint === b.endpoint, 5000);
      expect(answers).toEqual([]);
      expect(a.program.exit).toBeUndefined();
      expect(a.program.stderr).toBe(writtenBefore);
    } finally {
      socket.close();
    }
  },
  LIMIT_MS,
);

/** UDP payloads of a capture file of Ethernet frames with IPv4 (pcap, little-endian). */
function datagramsOf(file: Uint8Array): Uint8Array[] {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const datagrams: Uint8Array[] = [];
  for (let offset = 24; offset + 16 <= file.length; ) {
    const frameBytes = view.getUint32(offset + 8, true);
    datagrams.push(file.slice(offset + 16 + 14 + 20 + 8, offset + 16 + frameBytes));
    offset += 16 + frameBytes;
  }
  return datagrams;
}
