/** One round of one rival: start, what was asked for, memory, stop. */

import type { Measurement } from "./measurement.ts";
import { MEASURES } from "./measures.ts";
import { largestMemory, watchMemory } from "./processes.ts";
import type { PreparedRival } from "./rival.ts";
import type { TwoHosts } from "./two-hosts.ts";

const IDLE_MEASURE = "ping";

/**
 * @param seconds how long each transfer lasts
 * @param measures names of `MEASURES`
 */
export async function measureRival(
  rival: PreparedRival,
  hosts: TwoHosts,
  seconds: number,
  measures: readonly string[],
): Promise<Measurement> {
  const tunnel = await rival.startTunnel(hosts);
  try {
    const subject = { tunnel, hosts, seconds };
    let measurement: Measurement = {};
    const take = async (name: string) => {
      measurement = { ...measurement, ...(await MEASURES[name]?.(subject)) };
    };
    if (measures.includes(IDLE_MEASURE)) await take(IDLE_MEASURE);
    const idle = largestMemory(tunnel.pids);
    const loads = Object.keys(MEASURES).filter((name) => name !== IDLE_MEASURE && measures.includes(name));
    using watch = watchMemory(tunnel.pids);
    for (const name of loads) await take(name);
    const loaded = loads.length > 0 ? watch.largest() : undefined;
    return {
      ...measurement,
      ...(idle && { residentIdleMiB: idle.residentMiB, anonymousIdleMiB: idle.anonymousMiB }),
      ...(loaded && { residentLoadedMiB: loaded.residentMiB, anonymousLoadedMiB: loaded.anonymousMiB }),
      ...(tunnel.interfaceReadyMs !== undefined && { interfaceReadyMs: tunnel.interfaceReadyMs }),
      ...(tunnel.firstReplyMs !== undefined && { firstReplyMs: tunnel.firstReplyMs }),
    };
  } finally {
    await tunnel.stop();
  }
}
