/** The registries that are compared, each a process of its own on loopback, ended by its pid. */

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MinitailError } from "../../src/base/errors.ts";
import { startRedisServer } from "../../test/system/redis-server.ts";

export const TOKEN = "token-of-the-benchmark";

export interface MeasuredServer {
  readonly name: string;
  readonly url: string;
  /** The most memory that the process has had, and what of it has no file behind it now, in MiB. */
  memoryMiB(): { readonly peak: number; readonly anonymous: number };
  stop(): Promise<void>;
}

/** The embedded registry, in a process without a daemon around it. */
export async function startEmbedded(): Promise<MeasuredServer> {
  const folder = mkdtempSync(join(tmpdir(), "minitail-bench-registry-"));
  const script = join(import.meta.dir, "embedded-process.ts");
  const child = Bun.spawn([process.execPath, script, join(folder, "registry.sqlite"), TOKEN], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const { value } = await child.stdout.getReader().read();
  const url = new TextDecoder().decode(value).trim();
  if (!url.startsWith("https://")) throw new MinitailError("internal", "the embedded registry did not start");
  return {
    name: "embedded",
    url,
    memoryMiB: () => memoryOf(child.pid),
    async stop() {
      child.kill();
      await child.exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Debian's redis-server; like the embedded one it has a write on the disk before it answers. */
export async function startRedis(): Promise<MeasuredServer> {
  const server = await startRedisServer(TOKEN);
  return {
    name: "redis-server",
    url: server.url,
    memoryMiB: () => memoryOf(server.pid),
    stop: () => server.remove(),
  };
}

function memoryOf(pid: number): { peak: number; anonymous: number } {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const kibibytes = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0);
  return { peak: kibibytes("VmHWM") / 1024, anonymous: kibibytes("RssAnon") / 1024 };
}
