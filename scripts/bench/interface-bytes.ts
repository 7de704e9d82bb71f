/**
 * Proof that what was measured went through the tunnel and over the cable, by the kernel's counters of interfaces: a
 * rival whose routes point elsewhere would be as fast as the bare cable.
 */

import type { Tunnel } from "./rival.ts";
import { CABLE, type TwoHosts } from "./two-hosts.ts";

interface LinkReport {
  readonly stats64: { readonly rx: { readonly bytes: number } };
}

/**
 * Does `action`, and throws unless the tunnel's interfaces and those of the cable have received as much meanwhile.
 *
 * @param bytesOf the payload that `action` says was carried, both directions together
 */
export async function requireCarried<Result>(
  hosts: TwoHosts,
  tunnel: Pick<Tunnel, "interfaceName">,
  action: () => Promise<Result>,
  bytesOf: (result: Result) => number,
): Promise<Result> {
  const interfaces = tunnel.interfaceName === undefined ? [CABLE] : [tunnel.interfaceName, CABLE];
  const count = () => Promise.all(interfaces.map((name) => receivedBytes(hosts, name)));
  const before = await count();
  const result = await action();
  const after = await count();
  const bytes = bytesOf(result);
  for (const [place, name] of interfaces.entries()) {
    const received = (after[place] ?? 0) - (before[place] ?? 0);
    if (received < bytes) throw new Error(`${bytes} bytes are said to have been carried, but ${name} had ${received}`);
  }
  return result;
}

/** What both ends of an interface have received so far. */
async function receivedBytes({ left, right }: TwoHosts, name: string): Promise<number> {
  const reports = [left, right].map(({ lab }) => {
    return lab.output(["ip", "-json", "-statistics", "link", "show", "dev", name]);
  });
  return (await Promise.all(reports)).reduce((sum, report) => sum + parseReceivedBytes(report), 0);
}

/** Of `ip -json -statistics link show dev NAME`. */
export function parseReceivedBytes(report: string): number {
  const bytes = (JSON.parse(report) as readonly LinkReport[])[0]?.stats64?.rx?.bytes;
  if (bytes === undefined) throw new Error("ip printed no counters");
  return bytes;
}
