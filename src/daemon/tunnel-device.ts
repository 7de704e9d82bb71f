/** The device of a tunnel: a TUN, the way that its packets go, and what the kernel does for them in batches. */

import { closeFd } from "bun-ffi-tun";
import { OFFLOADS, type Offload, type OffloadOff } from "../dataplane/offload.ts";
import { probeDevice } from "../dataplane/probe-device.ts";
import { probeWire } from "../dataplane/probe-wire.ts";
import { mostSegmentsOfDevice } from "../dataplane/run-sender.ts";
import type { DataPlaneWay } from "../dataplane/worker.ts";
import { createTunInterface, limitSegments, type TunInterface } from "../host/interface.ts";
import type { DataPlaneChoice } from "./options.ts";

export interface TunnelDevice {
  /** Non-blocking. */
  readonly fd: number;
  readonly name: string;
  readonly way: DataPlaneWay;
  /** In use; none on the plain way. */
  readonly offloads: readonly Offload[];
  /** The others, of the fast way. */
  readonly offloadsOff: readonly OffloadOff[];
}

/**
 * Makes the TUN, and tries each of the offloads that are wanted. Throws `tun-unavailable`, `interface-taken`,
 * `not-permitted` or `usage`.
 */
export function openTunnelDevice(name: string, choice: DataPlaneChoice, wanted: readonly Offload[]): TunnelDevice {
  if (choice === "plain") {
    return { ...createTunInterface(name, undefined), way: "plain", offloads: [], offloadsOff: [] };
  }
  const wants = new Set(wanted);
  const tun = createTunInterface(name, { tcp: wants.has("tun-tso"), udp: wants.has("tun-uso") });
  try {
    const offloadsOff: OffloadOff[] = [
      ...OFFLOADS.filter((offload) => !wants.has(offload)).map((offload) => ({ offload, reason: "not wanted" })),
      ...refusedCuts(tun, wants),
      ...probeDevice(tun.fd, wants),
      ...probeWire(wants),
    ];
    const off = new Set(offloadsOff.map(({ offload }) => offload));
    const offloads = OFFLOADS.filter((offload) => !off.has(offload));
    return { fd: tun.fd, name: tun.name, way: "fast", offloads, offloadsOff };
  } catch (error) {
    closeFd(tun.fd);
    throw error;
  }
}

/** Packets that the device hands over uncut go out in one run each. To be said again when the MTU changes. */
export function fitSegments({ name, way }: Pick<TunnelDevice, "name" | "way">, mtuBytes: number): void {
  if (way === "fast") limitSegments(name, mostSegmentsOfDevice(mtuBytes));
}

function refusedCuts({ cuts }: TunInterface, wants: ReadonlySet<Offload>): OffloadOff[] {
  const reason = "the kernel does not have it";
  return [
    ...(wants.has("tun-tso") && !cuts.tcp ? [{ offload: "tun-tso" as const, reason }] : []),
    ...(wants.has("tun-uso") && !cuts.udp ? [{ offload: "tun-uso" as const, reason }] : []),
  ];
}
