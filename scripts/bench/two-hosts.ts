/**
 * The network that rivals run on: two hosts in network namespaces of their own, joined by one cable.
 *
 *     left  198.51.100.1 ──── veth, MTU 1500 ──── 198.51.100.2  right
 *
 * The namespaces carry the number of this process in their names. Those of a run that was killed are removed by the next.
 */

import { existsSync } from "node:fs";
import { requireCommand, runCommand } from "../../test/machine/command.ts";

const NAME_PREFIX = "minitail-bench";

export interface Host {
  readonly namespace: string;
  /** On the cable, outside any tunnel. */
  readonly address: string;
  /** Runs a program on this host, which must succeed, and returns what it printed. */
  run(argv: readonly string[], timeoutMs?: number): Promise<string>;
  /** Starts a program on this host. It is killed when this process dies. */
  start(
    argv: readonly string[],
    environment?: Readonly<Record<string, string>>,
  ): Bun.Subprocess<"ignore", "ignore", "pipe">;
}

export interface TwoHosts extends AsyncDisposable {
  readonly left: Host;
  readonly right: Host;
}

/** Builds the network; disposing of it removes it, and with it every interface inside. Needs root. */
export async function buildTwoHosts(): Promise<TwoHosts> {
  await removeAbandoned();
  const left = host("left", "198.51.100.1");
  const right = host("right", "198.51.100.2");
  const remove = async () => {
    for (const { namespace } of [left, right]) await runCommand(["ip", "netns", "del", namespace]);
  };
  try {
    for (const { namespace } of [left, right]) await requireCommand(["ip", "netns", "add", namespace]);
    const far = ["peer", "name", "cable", "netns", right.namespace];
    await left.run(["ip", "link", "add", "cable", "type", "veth", ...far]);
    for (const { run, address } of [left, right]) {
      await run(["ip", "link", "set", "lo", "up"]);
      await run(["ip", "address", "add", `${address}/24`, "dev", "cable"]);
      await run(["ip", "link", "set", "cable", "up"]);
    }
  } catch (error) {
    await remove();
    throw error;
  }
  return { left, right, [Symbol.asyncDispose]: remove };
}

function host(side: string, address: string): Host {
  const namespace = `${NAME_PREFIX}-${process.pid}-${side}`;
  const inside = ["ip", "netns", "exec", namespace];
  return {
    namespace,
    address,
    run: (argv, timeoutMs) => requireCommand([...inside, ...argv], timeoutMs === undefined ? {} : { timeoutMs }),
    start: (argv, environment = {}) =>
      Bun.spawn([...inside, "setpriv", "--pdeathsig", "KILL", ...argv], {
        stdin: "ignore",
        stdout: "ignore",
        stderr: "pipe",
        env: { ...process.env, ...environment },
      }),
  };
}

async function removeAbandoned(): Promise<void> {
  for (const line of (await requireCommand(["ip", "netns", "list"])).split("\n")) {
    const [name = ""] = line.split(" ");
    const owner = new RegExp(`^${NAME_PREFIX}-(\\d+)-`).exec(name)?.[1];
    if (owner !== undefined && !existsSync(`/proc/${owner}`)) await requireCommand(["ip", "netns", "del", name]);
  }
}
