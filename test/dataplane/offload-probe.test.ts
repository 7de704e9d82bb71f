import { describe, expect, test } from "bun:test";
import { allocateStable, closeFd, createSocketPair, ERRNO, readFd } from "bun-ffi-tun";
import { OFFLOADS } from "../../src/dataplane/offload.ts";
import { probeDevice } from "../../src/dataplane/probe-device.ts";
import { probeWire } from "../../src/dataplane/probe-wire.ts";
import { Segmenter } from "../../src/dataplane/segment.ts";
import { packetMemory } from "../../src/dataplane/segment-memory.ts";
import {
  createVirtioNetHeader,
  decodeVirtioNetHeader,
  VIRTIO_NET_HEADER_LENGTH_BYTES,
} from "../../src/wire/virtio-net.ts";

const ALL = new Set(OFFLOADS);

describe("the wire's offloads", () => {
  test("are found wherever this kernel has them, and nothing is said of what is not wanted", () => {
    expect(probeWire(new Set(), "4.4.0")).toEqual([]);
    for (const { offload, reason } of probeWire(ALL)) {
      expect(offload).toMatch(/^udp-g/);
      expect(reason).not.toBe("");
    }
  });

  test.each([
    ["5.11.22-generic", true],
    ["4.19.0", true],
    ["5.12.0-rc1", false],
    ["6.1.0-18-amd64", false],
    ["10.0", false],
  ])("kernel %s: is UDP_GRO left alone? %s", (release, isLeft) => {
    const off = probeWire(new Set(["udp-gro"]), release).map(({ offload }) => offload);
    // A kernel of today without it would say so by itself.
    if (isLeft) expect(off).toEqual(["udp-gro"]);
    else expect(off).toEqual(probeWire(new Set(["udp-gro"])).map(({ offload }) => offload));
  });
});

describe("the packets that a device is tried with", () => {
  test("are joined ones of each kind, with a short tail and without", () => {
    const [deviceFd, outsideFd] = createSocketPair("datagram");
    try {
      expect(probeDevice(deviceFd, ALL)).toEqual([]);
      const memory = allocateStable(4096);
      const segmenter = new Segmenter(packetMemory(memory.bytes));
      const header = createVirtioNetHeader();
      const lengths: number[][] = [];
      for (;;) {
        const lengthBytes = readFd(outsideFd, memory.address, memory.bytes.length);
        if (lengthBytes < 0) break;
        decodeVirtioNetHeader(memory.bytes, 0, header);
        const packetBytes = lengthBytes - VIRTIO_NET_HEADER_LENGTH_BYTES;
        expect(segmenter.begin(VIRTIO_NET_HEADER_LENGTH_BYTES, packetBytes, header, "complete")).toBe(2);
        lengths.push([segmenter.segmentLength(0), segmenter.segmentLength(1)]);
      }
      expect(lengths).toEqual([
        [1040, 41],
        [1040, 1040],
        [1060, 61],
        [1060, 1060],
        [1028, 29],
        [1028, 1028],
        [1048, 49],
        [1048, 1048],
      ]);
    } finally {
      closeFd(deviceFd);
      closeFd(outsideFd);
    }
  });

  test("are not sent for what is not wanted", () => {
    const [deviceFd, outsideFd] = createSocketPair("datagram");
    try {
      expect(probeDevice(deviceFd, new Set(["tun-tso", "udp-gso"]))).toEqual([]);
      const memory = allocateStable(4096);
      expect(readFd(outsideFd, memory.address, memory.bytes.length)).toBeLessThan(0);
    } finally {
      closeFd(deviceFd);
      closeFd(outsideFd);
    }
  });

  const header = createVirtioNetHeader();
  /** The GSO type and the length of the last segment, of what is written. */
  const describePacket = (bytes: Uint8Array) => {
    decodeVirtioNetHeader(bytes, 0, header);
    const payloadBytes = bytes.length - VIRTIO_NET_HEADER_LENGTH_BYTES - header.headerLengthBytes;
    return { gsoType: header.gsoType, tailBytes: payloadBytes % header.gsoSizeBytes };
  };

  test.each([
    ["before 6.2, which knows no joined UDP", ({ gsoType }: { gsoType: number }) => gsoType === 5, ["tun-udp-gro"]],
    [
      "6.6.44, which takes no short tails",
      ({ tailBytes }: { tailBytes: number }) => tailBytes > 0 && tailBytes < 54,
      ["tun-tcp-gro", "tun-udp-gro"],
    ],
    ["that does TCP over IPv6 wrong", ({ gsoType }: { gsoType: number }) => gsoType === 4, ["tun-tcp-gro"]],
    ["of today", () => false, []],
  ])("are refused by a kernel %s", (_name, refuses, expected) => {
    const write = ((_fd: number, bytes: Uint8Array) =>
      -(refuses(describePacket(bytes)) ? ERRNO.EINVAL : ERRNO.EIO)) as never;
    const off = probeDevice(-1, ALL, write);
    expect(off.map(({ offload }) => offload)).toEqual(expected as never);
    for (const { reason } of off) expect(reason).toMatch(/^the device refuses joined (TCP|UDP) over IPv[46]: EINVAL$/);
  });
});
