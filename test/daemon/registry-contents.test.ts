/** What lies in a registry: no name, address, endpoint, user, tag or key, in any form. */

import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { concatBytes, utf8 } from "../../src/base/bytes.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { openRegistry } from "../../src/registry/open.ts";
import { startRegistryServer } from "../../src/registry/server/start.ts";
import { findLeaks, formsOf } from "./leaks.ts";
import { MemoryDatabase, MemoryRegistry } from "./memory-registry.ts";
import { writeHistory } from "./rich-history.ts";

const folder = mkdtempSync(join(tmpdir(), "minitail-contents-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the search", () => {
  const around = (bytes: Uint8Array, shift: number) => concatBytes(systemRandom(shift), bytes, systemRandom(7));
  const name = utf8("headquarters");
  const key = systemRandom(32);

  test.each<[string, (bytes: Uint8Array, shift: number) => string | Uint8Array]>([
    ["raw", around],
    ["hexadecimal", (bytes, shift) => around(bytes, shift).toHex()],
    ["base64url", (bytes, shift) => Buffer.from(around(bytes, shift)).toString("base64url")],
    ["base64", (bytes, shift) => around(bytes, shift).toBase64()],
    ["base64 of base64", (bytes, shift) => Buffer.from(around(bytes, shift).toBase64()).toString("base64url")],
    ["UTF-16", (bytes) => Buffer.from(Buffer.from(bytes).toString("latin1"), "utf16le")],
    ["numbers", (bytes) => JSON.stringify([...bytes])],
    ["base64 in the middle of other text", (bytes, shift) => `XYZ${"A".repeat(shift)}${around(bytes, 0).toBase64()}`],
  ])("finds what is there as %s", (_form, write) => {
    for (const secret of [name, key]) {
      for (const shift of [0, 1, 2, 3, 4]) {
        const written = write(secret, shift);
        const dump = concatBytes(systemRandom(1000), typeof written === "string" ? utf8(written) : written, utf8("\n"));
        expect(findLeaks(dump, new Map([["it", secret]]))).toEqual(["it"]);
      }
    }
  });

  test("finds a part of a key", () => {
    const part = key.subarray(11, 22);
    for (const written of [part, utf8(part.toHex()), utf8(around(part, 1).toBase64())]) {
      expect(findLeaks(concatBytes(systemRandom(1000), utf8("\n"), written), new Map([["it", key]]))).toEqual(["it"]);
    }
  });

  test("finds nothing in noise, and refuses what it would find by chance", () => {
    expect(findLeaks(systemRandom(500_000), new Map([["it", key]]))).toEqual([]);
    expect(formsOf(utf8("ab"))).toEqual([]);
    expect(() => findLeaks(name, new Map([["it", "ab"]]))).toThrow(RangeError);
  });
});

test("all that was ever sent, kept or not, and what is there", async () => {
  const database = new MemoryDatabase();
  const registries: MemoryRegistry[] = [];
  const secrets = await writeHistory(() => {
    const registry = new MemoryRegistry(database);
    registries.push(registry);
    return registry;
  });
  expect(secrets.size).toBeGreaterThan(100);
  const sent = JSON.stringify(registries.flatMap((registry) => registry.sent));
  expect(sent.length).toBeGreaterThan(30_000);
  for (const text of [database.dump(), sent]) {
    expect(findLeaks(utf8(text), secrets)).toEqual([]);
    // The search sees this text: a name in it would be found.
    expect(findLeaks(utf8(`${text}headquarters`), secrets)).toHaveLength(1);
  }
});

test("the files of the embedded registry, while it runs and after", async () => {
  const server = await startRegistryServer({
    dataFile: join(folder, "data.sqlite"),
    listen: "127.0.0.1:0",
    tokens: { newest: "token-of-the-server" },
  });
  const open = () => openRegistry(server.url, { token: "token-of-the-server" });
  const secrets = new Map(await writeHistory(open));
  secrets.set("token of the server", "token-of-the-server");
  const readFiles = () => readdirSync(folder).map((file) => new Uint8Array(readFileSync(join(folder, file))));
  const running = readFiles();
  await server.stop();
  const files = concatBytes(...running, ...readFiles());
  expect(files.length).toBeGreaterThan(30_000);
  expect(findLeaks(files, secrets)).toEqual([]);
});
