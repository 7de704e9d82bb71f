/** What a real redis-server has on its disk of a tailnet: no name, address, endpoint, user, tag or key. */

import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RedisClient } from "bun";
import { concatBytes } from "../../src/base/bytes.ts";
import { openRegistry } from "../../src/registry/open.ts";
import type { Registry } from "../../src/registry/registry.ts";
import { findLeaks } from "../daemon/leaks.ts";
import { writeHistory } from "../daemon/rich-history.ts";
import { startRedisServer } from "./redis-server.ts";

/** Every file below the folder, one after the other. */
function contentOf(folder: string): Uint8Array {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return concatBytes(...files.map(({ parentPath, name }) => new Uint8Array(readFileSync(join(parentPath, name)))));
}

test("the dump and the log of a redis-server", async () => {
  const folder = mkdtempSync(join(tmpdir(), "minitail-dump-"));
  // Not compressed: compressed text would hide what is searched for.
  const server = await startRedisServer("password-of-tests", ["--dir", folder, "--rdbcompression", "no"]);
  const opened: Registry[] = [];
  try {
    const secrets = await writeHistory(() => {
      const registry = openRegistry(server.url);
      opened.push(registry);
      return registry;
    });
    const client = new RedisClient(server.url);
    await client.send("SAVE", []);
    client.close();
    const files = contentOf(folder);
    expect(readdirSync(folder)).toContain("dump.rdb");
    expect(files.length).toBeGreaterThan(60_000);
    expect(findLeaks(files, secrets)).toEqual([]);
  } finally {
    for (const registry of opened) registry.close();
    await server.remove();
    rmSync(folder, { recursive: true, force: true });
  }
});
