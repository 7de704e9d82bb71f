/** The life of any tunnel between the two hosts: started, configured, answering, stopped without a trace. */

import { getLink } from "bun-ffi-tun";
import { waitUntil } from "../../test/machine/wait.ts";
import type { Tunnel } from "./rival.ts";
import type { Host, TwoHosts } from "./two-hosts.ts";

/** Of every rival, on both hosts. */
export const INTERFACE_NAME = "tunnel0";
export const LEFT_ADDRESS = "10.77.0.1";
export const RIGHT_ADDRESS = "10.77.0.2";
export const TUNNEL_PREFIX_LENGTH_BITS = 24;
/** What WireGuard has room for in 1500 bytes over IPv6; everybody gets the same. */
export const TUNNEL_MTU = 1420;

const START_LIMIT_MS = 10_000;
const FIRST_REPLY_LIMIT_SECONDS = 10;
const FIRST_REPLY_INTERVAL_SECONDS = 0.005;
const STOP_LIMIT_MS = 5_000;
const READY_POLL_MS = 1;

export interface TunnelPlan {
  /** What either host runs, in the foreground. */
  readonly leftCommand: readonly string[];
  readonly rightCommand: readonly string[];
  /** Whether the program on that host has made its interface, as far as it does so unasked. */
  isReady(host: Host): boolean;
  /** What is left to do once both are ready. */
  configure?(): Promise<void>;
  /** Takes away what was made for the programs, and what they may leave behind. */
  cleanUp(): Promise<void>;
}

export async function runTunnel(hosts: TwoHosts, plan: TunnelPlan): Promise<Tunnel> {
  const both = [hosts.left, hosts.right];
  const startMs = performance.now();
  const processes = [hosts.left.lab.spawn(plan.leftCommand), hosts.right.lab.spawn(plan.rightCommand)];
  const stop = async () => {
    await Promise.all(processes.map((process) => process.stop()));
    await waitUntil("the interfaces to go", STOP_LIMIT_MS, () => !both.some(hasInterface));
    await plan.cleanUp();
  };
  try {
    const areReady = () => {
      for (const { commandLine, exit, stdout, stderr } of processes) {
        if (exit !== undefined) throw new Error(`"${commandLine}" ended at its start: ${(stderr || stdout).trim()}`);
      }
      return both.every((host) => hasInterface(host) && plan.isReady(host));
    };
    await waitUntil("both interfaces", START_LIMIT_MS, areReady, READY_POLL_MS);
    const interfaceReadyMs = performance.now() - startMs;
    await plan.configure?.();
    await awaitReply(hosts.left);
    const firstReplyMs = performance.now() - startMs;
    const pids = processes.map(({ pid }) => pid);
    return {
      rightAddress: RIGHT_ADDRESS,
      interfaceName: INTERFACE_NAME,
      pids,
      interfaceReadyMs,
      firstReplyMs,
      written: () => processes.map(({ stderr }) => stderr).join(""),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function hasInterface({ lab }: Host): boolean {
  return getLink(lab.netlink, INTERFACE_NAME) !== undefined;
}

/** Sends echoes until one comes back. With a deadline, `-c` counts replies. */
async function awaitReply({ lab }: Host): Promise<void> {
  const deadline = ["-c", "1", "-w", `${FIRST_REPLY_LIMIT_SECONDS}`, "-i", `${FIRST_REPLY_INTERVAL_SECONDS}`];
  const { status, stdout } = await lab.run(["ping", "-n", ...deadline, RIGHT_ADDRESS]);
  if (status !== 0) throw new Error(`no echo in ${FIRST_REPLY_LIMIT_SECONDS} s: ${stdout.trim().slice(-300)}`);
}
