/**
 * What the fast way leaves to the kernel, or has from it, in batches. Each can be off by itself; what it would do
 * is done one packet at a time then.
 *
 *     tun-tso, tun-uso             the device hands over TCP, UDP, that is yet to be cut
 *     tun-tcp-gro, tun-udp-gro     the device takes joined TCP, UDP
 *     udp-gso                      the wire cuts what it sends (UDP_SEGMENT)
 *     udp-gro                      the wire joins what it receives (UDP_GRO)
 *     partial-checksum             what another minitail sends and receives has no checksum of its payload: the
 *                                  receiver's kernel takes that from WireGuard, or makes it for who is behind it
 */

export const OFFLOADS = [
  "tun-tso",
  "tun-uso",
  "tun-tcp-gro",
  "tun-udp-gro",
  "udp-gso",
  "udp-gro",
  "partial-checksum",
] as const;

export type Offload = (typeof OFFLOADS)[number];

/** One that is off, and why in words that follow the name. */
export interface OffloadOff {
  readonly offload: Offload;
  readonly reason: string;
}
