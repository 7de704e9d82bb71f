/**
 * A UDP wire in a process that may open few descriptors, and set no marks. Prints as JSON how many it has left open after
 * marks that were refused, and what it answers for paths while no descriptor is left.
 */

import { readdirSync } from "node:fs";
import { closeFd, createUdpSocket, SystemError } from "bun-ffi-tun";
import { parseEndpoint } from "../../src/base/ip.ts";
import { openUdpWire } from "../../src/daemon/udp-wire.ts";

/** The system's refusal of `act`. */
function refusalOf(act: () => unknown): string | undefined {
  try {
    act();
  } catch (error) {
    if (error instanceof SystemError) return error.code;
    throw error;
  }
  return undefined;
}

const countDescriptors = () => readdirSync("/proc/self/fd").length;

const before = countDescriptors();
const marks = Array.from({ length: 10 }, () => refusalOf(() => openUdpWire(0, 1)));
const leftOpen = countDescriptors() - before;

const wire = openUdpWire(0, 0);
const sockets: number[] = [];
const limit = refusalOf(() => {
  for (;;) sockets.push(createUdpSocket({ family: 4 }));
});
const paths = ["127.0.0.1:1", "[::1]:1"].map((text) => {
  const endpoint = parseEndpoint(text)!;
  return refusalOf(() => wire.pathMtuTo(endpoint)) ?? "none";
});
for (const fd of sockets) closeFd(fd);
const isKnownLater = wire.pathMtuTo(parseEndpoint("127.0.0.1:1")!) !== undefined;
console.log(JSON.stringify({ marks: [...new Set(marks)], leftOpen, limit, paths, isKnownLater }));
