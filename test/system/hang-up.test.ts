/** The end of a terminal, SIGHUP, to a program that runs on in the foreground. */

import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MINITAIL } from "./mesh-node.ts";

const SIGHUP = 1;

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "minitail-hang-up-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** What a registry that serves does about SIGHUP, started by a shell after `preparation`; its exit status at SIGTERM. */
async function started(preparation: string): Promise<{ ignores: boolean; catches: boolean; status: number }> {
  const serve = `"${MINITAIL}" registry serve --listen 127.0.0.1:0 --data "${folder}/data"`;
  const child = Bun.spawn(["bash", "-c", `${preparation} exec ${serve}`], { stdout: "pipe", stderr: "ignore" });
  const reader = child.stdout.getReader();
  // It prints its URL when it serves.
  await reader.read();
  const status = readFileSync(`/proc/${child.pid}/status`, "latin1");
  child.kill("SIGTERM");
  return {
    ignores: hasSignal(status, "SigIgn", SIGHUP),
    catches: hasSignal(status, "SigCgt", SIGHUP),
    status: await child.exited,
  };
}

/** Whether the mask of signals in proc_pid_status(5) has this one. */
function hasSignal(status: string, mask: string, signal: number): boolean {
  const digits = new RegExp(`^${mask}:\\s*([0-9a-f]+)$`, "m").exec(status)![1];
  return ((BigInt(`0x${digits}`) >> BigInt(signal - 1)) & 1n) === 1n;
}

test("the end of the terminal stops a program", async () => {
  expect(await started("")).toEqual({ ignores: false, catches: true, status: 0 });
}, 20_000);

test("under nohup it does not", async () => {
  expect(await started("trap '' HUP;")).toEqual({ ignores: true, catches: false, status: 0 });
}, 20_000);
