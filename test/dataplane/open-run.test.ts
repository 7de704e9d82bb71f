/** Runs of messages opened by one call: what comes of them is what comes of them one by one. */

import { type Pointer, toArrayBuffer } from "bun:ffi";
import { describe, expect, test } from "bun:test";
import { closeFd, createEventFd, createUdpSocket, ERRNO, MessageReceiver } from "bun-ffi-tun";
import fc from "fast-check";
import { parseAddress, parsePrefix } from "../../src/base/ip.ts";
import { loadTransportCipher } from "../../src/crypto/load-transport-cipher.ts";
import { NobleTransportCipher } from "../../src/crypto/transport-cipher-noble.ts";
import { FastReceive } from "../../src/dataplane/fast-receive.ts";
import { HeaderCounter } from "../../src/dataplane/layout.ts";
import { SharedTables } from "../../src/dataplane/shared-tables.ts";
import { TableWriter } from "../../src/dataplane/table-writer.ts";
import {
  createVirtioNetHeader,
  decodeVirtioNetHeader,
  VIRTIO_NET_HEADER_LENGTH_BYTES,
} from "../../src/wire/virtio-net.ts";
import { naiveSegmentBytes } from "../naive/segment.ts";
import { hasRightChecksums, headerLength, parsePacket } from "../naive/transport-packet.ts";
import { KEYS, KINDS, type Kind, OVERHEAD_BYTES, Packets, seal } from "./sealed-runs.ts";
import { overIpv6, plainTcp } from "./segment-arbitraries.ts";

const SEED = 20261121;
const NEVER = Number.POSITIVE_INFINITY;
const SOURCE = parseAddress("192.0.2.7")!;

/** Mostly the streams that runs are for, and mostly several of a kind. */
const kind: fc.Arbitrary<Kind> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom<Kind>("tcp", "tcp", "tcp partial", "udp", "tcp over ipv6") },
  { weight: 2, arbitrary: fc.constantFrom<Kind>(...KINDS) },
);
const kinds: fc.Arbitrary<Kind[]> = fc
  .array(fc.tuple(kind, fc.constantFrom(1, 1, 2, 3, 4)), { minLength: 1, maxLength: 8 })
  .map((pairs) => pairs.flatMap(([each, count]) => Array<Kind>(count).fill(each)));

/** Receives from memory instead of a socket. */
class Machine implements Disposable {
  readonly tables = new SharedTables();
  readonly writer = new TableWriter(this.tables);
  readonly packets: Uint8Array[] = [];
  readonly writes: number[] = [];
  readonly #messages: MessageReceiver;
  readonly #receive: FastReceive;
  readonly #wakeFd = createEventFd();
  #run: Uint8Array | undefined;

  constructor(cipher = loadTransportCipher()) {
    this.writer.setMtu(1420);
    const sources = [plainTcp(), overIpv6(plainTcp())].map(({ source }) => source);
    for (const slot of [0, 1]) {
      this.writer.addPeer(slot);
      this.writer.addSession({
        slot,
        localIndex: slot + 1,
        remoteIndex: 7,
        sendKey: new Uint8Array(32),
        receiveKey: KEYS[slot]!,
        reportFirstPacket: false,
        rekeyAfterSendMs: NEVER,
        rekeyAfterReceiveMs: NEVER,
        rejectAfterMs: NEVER,
      });
    }
    for (const address of sources) this.writer.setAllowedIp({ address, lengthBits: address.length * 8 }, 0);
    this.writer.setAllowedIp(parsePrefix("203.0.113.0/24")!, 1);
    this.#messages = new MessageReceiver();
    this.#messages.receive = (_fd, address, lengthBytes) => {
      const run = this.#run;
      if (!run) return -ERRNO.EAGAIN;
      new Uint8Array(toArrayBuffer(address as Pointer, 0, lengthBytes)).set(run);
      this.#run = undefined;
      return run.length;
    };
    this.#messages.sourceEndpoint = () => ({ address: SOURCE, port: 9 });
    const write = (_fd: number, address: unknown, lengthBytes: number) => {
      this.#note(new Uint8Array(toArrayBuffer(address as Pointer, 0, lengthBytes)).slice());
      return lengthBytes;
    };
    this.#receive = new FastReceive({
      tables: this.tables,
      cipher,
      deviceFd: -1,
      wakeFd: this.#wakeFd,
      takeCommand: () => undefined,
      report() {},
      messages: this.#messages,
      write,
    });
    this.#receive.setWire(createUdpSocket({ family: 4 }));
  }

  take(run: Uint8Array, strideBytes: number): void {
    this.#run = run;
    this.#messages.segmentBytes = strideBytes;
    this.#receive.takeMessages();
  }

  takeOneByOne(run: Uint8Array, strideBytes: number): void {
    for (let at = 0; at < run.length; at += strideBytes) this.take(run.subarray(at, at + strideBytes), 0);
  }

  /** All that was counted, by name, and of both peers. */
  counts(): unknown {
    const counters = Object.fromEntries(
      Object.keys(HeaderCounter).map((name) => [name, this.tables.readCounter(name as keyof typeof HeaderCounter)]),
    );
    return { ...counters, traffic: [0, 1].map((slot) => this.writer.traffic(slot)) };
  }

  /** Cut again, with checksums as they should be. */
  #note(written: Uint8Array): void {
    const header = createVirtioNetHeader();
    decodeVirtioNetHeader(written, 0, header);
    const packet = written.slice(VIRTIO_NET_HEADER_LENGTH_BYTES);
    this.writes.push(packet.length);
    if (header.flags === 0) this.packets.push(packet);
    else
      this.packets.push(...naiveSegmentBytes(parsePacket(packet)!, header.gsoSizeBytes || packet.length, "complete"));
  }

  [Symbol.dispose](): void {
    this.#receive.setWire(-1);
    closeFd(this.#wakeFd);
  }
}

describe.each([
  ["the fastest cipher", () => loadTransportCipher()],
  ["a cipher that takes messages one by one", () => new NobleTransportCipher()],
])("by %s", (_what, load) => {
  test("runs of all kinds of messages give what they give one by one", () => {
    fc.assert(
      fc.property(
        fc.array(kinds, { minLength: 1, maxLength: 4 }),
        // The longer ones are opened by 16 blocks at once, which are not written in their order (ffi/aead).
        fc.oneof(fc.integer({ min: 130, max: 170 }), fc.integer({ min: 1980, max: 2000 })),
        fc.nat(170),
        (runs, textBytes, rest) => {
          using many = new Machine(load());
          using single = new Machine(load());
          const packets = new Packets();
          let counter = 0;
          for (const list of runs) {
            const run = seal(list, textBytes, Math.min(textBytes, rest), packets, counter);
            counter += list.length;
            const strideBytes = textBytes + OVERHEAD_BYTES;
            many.take(run, strideBytes);
            single.takeOneByOne(run, strideBytes);
          }
          expect(many.packets).toEqual(single.packets);
          expect(many.counts()).toEqual(single.counts());
        },
      ),
      { seed: SEED, numRuns: 200 },
    );
  }, 30_000);
});

test.each<Kind>(["tcp", "tcp partial", "udp", "tcp over ipv6", "udp over ipv6"])(
  "a stream of %s is written at once",
  (kind) => {
    using machine = new Machine();
    const run = seal(Array<Kind>(40).fill(kind), 160, 160, new Packets(), 0);
    machine.take(run, 192);
    expect(machine.packets).toHaveLength(40);
    expect(machine.writes).toHaveLength(1);
    // All of it once more: nothing comes of it.
    machine.take(run, 192);
    expect(machine.packets).toHaveLength(40);
    expect(machine.tables.readCounter("rxReplayed")).toBe(40);
  },
);

test("two messages of one counter in a run are one packet", () => {
  using machine = new Machine();
  machine.take(seal(["tcp", "tcp", "replayed", "tcp", "tcp"], 160, 160, new Packets(), 0), 192);
  expect(machine.packets).toHaveLength(4);
  expect(machine.tables.readCounter("rxReplayed")).toBe(1);
});

test("a message that does not open costs none of the others", () => {
  using machine = new Machine();
  machine.take(seal(["tcp", "tcp", "forged", "tcp", "tcp", "tcp"], 160, 160, new Packets(), 0), 192);
  expect(machine.packets).toHaveLength(5);
  expect(machine.tables.readCounter("rxForged")).toBe(1);
});

test("more messages than one call opens are one stream still", () => {
  using machine = new Machine();
  machine.take(seal(Array<Kind>(150).fill("tcp"), 160, 160, new Packets(), 0), 192);
  expect(machine.packets).toHaveLength(150);
  expect(machine.writes).toHaveLength(1);
});

test("another peer's messages join nothing: each is asked for its source", () => {
  using machine = new Machine();
  const packets = new Packets();
  // The other session is in use before, as it would be.
  machine.take(seal(["of another peer"], 160, 160, packets, 0), 192);
  const intruding: Kind[] = ["of another peer", "of another peer", "of another peer"];
  machine.take(seal(["tcp", "tcp", ...intruding], 160, 160, packets, 1), 192);
  machine.take(seal(["tcp", ...intruding], 160, 160, packets, 6), 192);
  expect(machine.packets).toHaveLength(3);
  expect(machine.tables.readCounter("rxWrongSource")).toBe(7);
});

test("a packet that was spoilt before it was sealed comes as it was, and its stream around it joined", () => {
  for (const load of [() => loadTransportCipher(), () => new NobleTransportCipher()]) {
    using machine = new Machine(load());
    machine.take(seal(["tcp", "tcp", "spoilt", "tcp", "tcp", "tcp"], 160, 160, new Packets(), 0), 192);
    expect(machine.packets.map(hasRightChecksums)).toEqual([true, true, false, true, true, true]);
    const headerBytes = headerLength(plainTcp());
    expect(machine.writes).toEqual([160 + 160 - headerBytes, 160, 160 + 2 * (160 - headerBytes)]);
  }
});
