import { expect, test } from "bun:test";
import { largestPacketBytes } from "../../src/path/path-mtu.ts";

test.each([
  // Ethernet takes all of wg's default.
  [1500, true, 1420, 0],
  [1500, false, 1420, 0],
  // What is padded to the device's MTU is not padded further.
  [1480, true, 1420, 0],
  [1479, true, 1420, 1408],
  [1499, false, 1420, 1408],
  [1280, true, 1420, 1216],
  [1280, false, 1420, 1200],
  [1280, true, 1280, 1216],
  [1340, true, 1280, 0],
  // Smaller than any path of today.
  [68, true, 1420, 16],
])("path MTU %d, IPv4 outside %p, device MTU %d: %d", (pathMtuBytes, isIpv4, deviceMtuBytes, limit) => {
  const largest = largestPacketBytes(pathMtuBytes, isIpv4, deviceMtuBytes);
  expect(largest).toBe(limit);
  if (limit > 16) expect((isIpv4 ? 20 : 40) + 8 + 32 + limit).toBeLessThanOrEqual(pathMtuBytes);
});
