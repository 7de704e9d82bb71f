import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  createVirtioNetHeader,
  decodeVirtioNetHeader,
  encodeVirtioNetHeader,
  VIRTIO_NET_HDR_GSO_ECN,
  VIRTIO_NET_HDR_GSO_TCPV6,
  VIRTIO_NET_HEADER_LENGTH_BYTES,
} from "../../src/wire/virtio-net.ts";

/** struct virtio_net_hdr of an IPv6 TCP read of a Linux TUN, taken down by hand. */
const SAMPLE = Uint8Array.of(1, 0x84, 72, 0, 0x44, 0x05, 40, 0, 16, 0);
const DECODED = {
  flags: 1,
  gsoType: VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN,
  headerLengthBytes: 72,
  gsoSizeBytes: 1348,
  checksumStart: 40,
  checksumOffset: 16,
};

test("ten bytes, little-endian", () => {
  expect(SAMPLE.length).toBe(VIRTIO_NET_HEADER_LENGTH_BYTES);
  const header = createVirtioNetHeader();
  decodeVirtioNetHeader(SAMPLE, 0, header);
  expect(header).toEqual(DECODED);
  const bytes = new Uint8Array(14).fill(0xee);
  encodeVirtioNetHeader(DECODED, bytes, 2);
  expect(bytes).toEqual(Uint8Array.of(0xee, 0xee, ...SAMPLE, 0xee, 0xee));
});

test("a new header is ten zeros", () => {
  const bytes = new Uint8Array(10).fill(1);
  encodeVirtioNetHeader(createVirtioNetHeader(), bytes, 0);
  expect(bytes).toEqual(new Uint8Array(10));
});

test("every ten bytes decode, and encode to the same", () => {
  const anyBytes = fc.uint8Array({ minLength: 10, maxLength: 10 });
  fc.assert(
    fc.property(anyBytes, (bytes) => {
      const header = createVirtioNetHeader();
      decodeVirtioNetHeader(bytes, 0, header);
      const again = new Uint8Array(10);
      encodeVirtioNetHeader(header, again, 0);
      expect([...again]).toEqual([...bytes]);
    }),
    { seed: 20261121 },
  );
});
