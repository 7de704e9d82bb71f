/** The registry against real programs: Debian's redis-server as a third implementation and as judge, and kill -9. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RedisClient } from "bun";
import { errorMessage } from "../../src/base/errors.ts";
import { openRegistry } from "../../src/registry/open.ts";
import type { Reply } from "../../src/registry/registry.ts";
import { WRITE_GRANT } from "../../src/registry/server/access.ts";
import { Channels } from "../../src/registry/server/channels.ts";
import { Executor, type RawCommand } from "../../src/registry/server/executor.ts";
import { Keyspace } from "../../src/registry/server/keyspace.ts";
import { DEFAULT_LIMITS } from "../../src/registry/server/limits.ts";
import { createTlsIdentity } from "../../src/registry/tls-identity.ts";
import { commandSamples } from "../registry/command-samples.ts";
import { conformance } from "../registry/conformance.ts";
import { rejection, until } from "../registry/until.ts";
import { freePort, type RedisServer, startRedisServer } from "./redis-server.ts";

const PASSWORD = "password-of-tests";

conformance("redis-server through Bun's client", async () => {
  const server = await startRedisServer(PASSWORD);
  const [first, second] = [openRegistry(server.url), openRegistry(server.url)];
  return {
    first,
    second,
    async restart(whileGone) {
      await server.stop();
      await whileGone();
      await server.start();
    },
    async close() {
      first.close();
      second.close();
      await server.remove();
    },
  };
});

describe("redis-server", () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedisServer(PASSWORD);
  });
  afterAll(() => server.remove());

  test("a wrong or missing password is wrong-token, and is not in the error", async () => {
    for (const userinfo of ["", ":wrong-password@", "nobody:wrong-password@"]) {
      const registry = openRegistry(`redis://${userinfo}127.0.0.1:${server.port}/0`);
      const error = await rejection(registry.get("key"));
      expect(error).toMatchObject({ code: "wrong-token" });
      expect(String(error) + registry.url).not.toContain("wrong-password");
      expect(registry.url).toBe(`redis://127.0.0.1:${server.port}/0`);
      registry.close();
    }
  });

  test("the database of the URL is used", async () => {
    const [zero, one] = [openRegistry(server.url), openRegistry(server.url.replace(/0$/, "1"))];
    await zero.set("where", "zero");
    expect(await one.get("where")).toBeUndefined();
    zero.close();
    one.close();
  });

  test("the embedded server answers as Redis does, errors included", async () => {
    const redis = new RedisClient(server.url, { autoReconnect: false });
    await redis.send("FLUSHALL", []);
    const keyspace = new Keyspace(":memory:", DEFAULT_LIMITS);
    const channels = new Channels(DEFAULT_LIMITS);
    const executor = new Executor(keyspace, DEFAULT_LIMITS, channels, () => Date.now());
    for (const command of commandSamples(20261121, 4000)) {
      const [name, ...parameters] = command;
      const theirs = await redis.send(name, parameters).then(flatReply, errorMessage);
      const outcome = executor.pipeline([command as RawCommand], WRITE_GRANT)[0]!;
      const ours = "error" in outcome ? outcome.error.message : outcome.reply;
      expect({ command, reply: ours }).toEqual({ command, reply: theirs as Reply });
    }
    redis.close();
    channels.close();
    keyspace.close();
  });
});

/** RESP3's maps as RESP2's lists. */
function flatReply(value: unknown): unknown {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return Object.entries(value).flat();
  return value;
}

test("a rediss:// server with a certificate that no authority signed is refused before the password is sent", async () => {
  const { keyPem, certificatePem } = createTlsIdentity();
  let received = 0;
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    tls: { key: keyPem, cert: certificatePem },
    socket: {
      data(_socket, data) {
        received += data.length;
      },
    },
  });
  const registry = openRegistry(`rediss://:secret@127.0.0.1:${server.port}`, { requestTimeoutMs: 2000 });
  expect(await rejection(registry.get("key"))).toMatchObject({ code: "wrong-pin" });
  expect(received).toBe(0);
  registry.close();
  server.stop(true);
});

describe("kill -9 of the embedded server", () => {
  const folder = mkdtempSync(join(tmpdir(), "minitail-registry-"));
  const dataFile = join(folder, "registry.db");
  const seed = new Uint8Array(32).fill(9);
  const token = "token-of-tests";
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** The server in a process of its own, once it has printed its URL. */
  async function startChild(port: number) {
    const script = join(import.meta.dir, "registry-server-child.ts");
    const command = [process.execPath, script, dataFile, String(port), token, seed.toHex()];
    const child = Bun.spawn(command, { stdout: "pipe", stderr: "inherit" });
    const reader = child.stdout.getReader();
    const line = new TextDecoder().decode((await reader.read()).value).trim();
    return { child, url: line };
  }

  test("every acknowledged write is there afterwards, and transactions are whole", async () => {
    const port = await freePort();
    let { child, url } = await startChild(port);
    const registry = openRegistry(url, { token });
    const acknowledged = new Set<string>();
    for (let round = 0; round < 3; round++) {
      let writing = true;
      const writers = [0, 1, 2, 3].map(async (writer) => {
        for (let i = 0; writing; i++) {
          const value = `${round}.${writer}.${i}`;
          try {
            await registry.transaction([
              ["RPUSH", "chain", value],
              ["HSET", "nodes", value, "x"],
            ]);
            acknowledged.add(value);
          } catch {
            return;
          }
        }
      });
      const enough = acknowledged.size + 50;
      await until("some writes are acknowledged", () => acknowledged.size >= enough);
      child.kill("SIGKILL");
      await child.exited;
      writing = false;
      await Promise.all(writers);
      ({ child, url } = await startChild(port));
      const chain = new Set(await registry.lrange("chain", 0, -1));
      const nodes = await registry.hgetall("nodes");
      expect([...acknowledged].filter((value) => !chain.has(value))).toEqual([]);
      expect([...chain].sort()).toEqual([...nodes.keys()].sort());
    }
    registry.close();
    child.kill();
    await child.exited;
  });

  test("a second process on the same data is told so", async () => {
    const held = new Keyspace(dataFile, DEFAULT_LIMITS);
    expect(() => new Keyspace(dataFile, DEFAULT_LIMITS)).toThrow("another process uses");
    held.close();
  });
});

test("a full disk: writes are refused and nothing of them is there, reading goes on, and room is used when there is some", async () => {
  const folder = mkdtempSync(join(tmpdir(), "minitail-full-"));
  const script = join(import.meta.dir, "registry-server-child.ts");
  const seed = new Uint8Array(32).fill(8).toHex();
  const token = "token-of-tests";
  const mount = `mount -t tmpfs -o size=2m,mode=700 none ${folder} && head -c 1000000 /dev/zero > ${folder}/ballast`;
  const serve = `exec ${process.execPath} ${script} ${folder}/registry.db ${await freePort()} ${token} ${seed}`;
  // A mount that this process and its children alone see, and that ends with them.
  const child = Bun.spawn(["unshare", "--mount", "sh", "-c", `${mount} && ${serve}`], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const url = new TextDecoder().decode((await child.stdout.getReader().read()).value).trim();
  const registry = openRegistry(url, { token });
  try {
    await registry.set("small", "1");
    const value = "x".repeat(50_000);
    let stored = 0;
    const write = async () => {
      stored = await registry.rpush("list", value);
    };
    const full = await rejection(
      (async () => {
        for (;;) await write();
      })(),
    );
    expect(["registry-refused", "registry-unreachable"]).toContain((full as { code: string }).code);
    expect(stored).toBeGreaterThan(2);
    expect(await registry.llen("list")).toBe(stored);
    expect(await registry.get("small")).toBe("1");
    rmSync(`/proc/${child.pid}/root${folder}/ballast`);
    await until("there is room again", () =>
      write().then(
        () => true,
        () => false,
      ),
    );
    expect(await registry.llen("list")).toBe(stored);
  } finally {
    registry.close();
    child.kill();
    await child.exited;
    rmSync(folder, { recursive: true, force: true });
  }
});
