/** A real `redis-server` (Debian's package) on loopback, with a folder of its own, ended by its pid. */

import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RedisClient } from "bun";
import { until } from "../registry/until.ts";

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  /** Of the process that runs now. */
  readonly pid: number;
  stop(): Promise<void>;
  /** On the same port with the same data. */
  start(): Promise<void>;
  /** Stops it and removes its folder. */
  remove(): Promise<void>;
}

/** Writes are on the disk before they are acknowledged, so that a restart keeps them. `extra` is further arguments. */
export async function startRedisServer(password: string, extra: readonly string[] = []): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), "minitail-redis-"));
  const port = await freePort();
  const url = `redis://:${password}@127.0.0.1:${port}/0`;
  let running: Bun.Subprocess | undefined;

  async function start(): Promise<void> {
    const settings = ["--port", `${port}`, "--bind", "127.0.0.1", "--dir", folder, "--save", ""];
    const storage = ["--appendonly", "yes", "--appendfsync", "always", "--requirepass", password];
    running = Bun.spawn(["redis-server", ...settings, ...storage, ...extra], { stdout: "ignore", stderr: "inherit" });
    await until("redis-server answers", async () => {
      const client = new RedisClient(url, { autoReconnect: false });
      try {
        return (await client.send("PING", [])) === "PONG";
      } catch {
        return false;
      } finally {
        client.close();
      }
    });
  }

  async function stop(): Promise<void> {
    running?.kill();
    await running?.exited;
    running = undefined;
  }

  await start();
  return {
    url,
    port,
    get pid() {
      return running!.pid;
    },
    start,
    stop,
    async remove() {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A TCP port on loopback that nobody listens on now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() =>
        address && typeof address === "object" ? resolve(address.port) : reject(new Error("no port")),
      );
    });
  });
}
