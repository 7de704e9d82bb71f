/** What happens to the output of commands that nobody reads, or that there is no room for. */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { FakeDaemon } from "../cli/command-run.ts";
import { MINITAIL } from "./mesh-node.ts";

const PONG = {
  peer: { name: "b", address: "10.11.12.2" },
  path: { kind: "direct", address: "192.0.2.2:7411", relay: null, latencyMs: 1, mtu: null },
  latencyMs: 1,
};

let daemon: FakeDaemon;
beforeEach(() => {
  daemon = new FakeDaemon();
});
afterEach(() => daemon.close());

/** A shell's line in which `minitail` stands for the program, and what it said on stderr. */
async function shell(line: string): Promise<{ status: number; error: string }> {
  const program = `minitail() { "${MINITAIL}" "$@"; }; ${line}`;
  const child = Bun.spawn(["bash", "-c", program], { stdout: "ignore", stderr: "pipe" });
  const error = await new Response(child.stderr).text();
  return { status: await child.exited, error };
}

describe("output", () => {
  test("a ping that goes on ends when nobody reads it any more", async () => {
    await daemon.serve({ "POST /v1/ping": PONG });
    const { status } = await shell(`minitail ping -c 1000 b --socket ${daemon.socketPath} | head -1`);
    expect(status).toBe(0);
    expect(daemon.asked.length).toBeLessThan(5);
  }, 20_000);

  test("a full disk is named", async () => {
    const { status, error } = await shell("minitail version >/dev/full");
    expect([status, error]).toEqual([
      1,
      "minitail: cannot write to stdout: no space left on device; make room there, or send it elsewhere\n",
    ]);
  });

  test("an error that cannot be written leaves its exit status", async () => {
    expect((await shell("minitail nonsense 2>/dev/full")).status).toBe(2);
    expect((await shell("minitail nonsense 2>&-")).status).toBe(2);
  });
});
