/** The local API as a hostile or clumsy client of its socket sees it. */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MinitailError } from "../../src/base/errors.ts";
import { silentLog } from "../../src/base/log.ts";
import { createJoinKeyCall } from "../../src/daemon/calls/create-join-key.ts";
import { pingCall } from "../../src/daemon/calls/ping.ts";
import { type LocalApiServer, route, serveLocalApi } from "../../src/daemon/local-api-server.ts";

let folder = "";
let server: LocalApiServer | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "minitail-api-"));
});
afterEach(async () => {
  await server?.stop();
  server = undefined;
  rmSync(folder, { recursive: true, force: true });
});

/** Routes that note what reaches them. */
function notingRoutes(asked: unknown[] = []) {
  return [
    route(pingCall, (request) => {
      asked.push(request);
      throw new MinitailError("no-such-peer", "none here");
    }),
    route(createJoinKeyCall, (request) => {
      asked.push(request);
      return { id: "k", key: "mt1:", expiresAt: "" };
    }),
  ];
}

async function post(path: string, body: string): Promise<{ status: number; code: string | undefined }> {
  const unix = join(folder, "socket");
  const response = await fetch(`http://minitail${path}`, { method: "POST", unix, body, keepalive: false });
  const answer = (await response.json()) as { error?: { code: string } };
  return { status: response.status, code: answer.error?.code };
}

const KEY = { reusable: true, ephemeral: false, expiresInMs: 1000, tags: ["tag:a"], user: "" };

describe("local API", () => {
  test("requests of another shape are refused in words and reach nothing", async () => {
    const asked: unknown[] = [];
    server = await serveLocalApi(join(folder, "socket"), notingRoutes(asked), silentLog);
    const pings = [
      "null",
      "7",
      "{}",
      "{{{",
      "",
      '{"peer":"a","sizeBytes":56}',
      '{"peer":1,"sizeBytes":56,"timeoutMs":1}',
    ];
    for (const body of [...pings, '{"peer":"a","sizeBytes":56,"timeoutMs":1e12}']) {
      expect({ body, ...(await post("/v1/ping", body)) }).toEqual({ body, status: 400, code: "invalid" });
    }
    const keys = [
      null,
      {},
      { ...KEY, tags: "tag:a" },
      { ...KEY, tags: [1] },
      { ...KEY, expiresInMs: "1" },
      { ...KEY, reusable: "yes" },
      { ...KEY, user: null },
    ];
    for (const body of keys.map((key) => JSON.stringify(key))) {
      expect({ body, ...(await post("/v1/keys", body)) }).toEqual({ body, status: 400, code: "invalid" });
    }
    for (const expiresInMs of [-5, 1e30]) {
      expect(await post("/v1/keys", JSON.stringify({ ...KEY, expiresInMs }))).toEqual({ status: 400, code: "usage" });
    }
    expect(asked).toEqual([]);
    expect((await post("/v1/keys", JSON.stringify({ ...KEY, expiresInMs: 0.5 }))).status).toBe(200);
    expect(asked).toEqual([{ ...KEY, expiresInMs: 1 }]);
  });

  test("only the owner may open the socket, whatever the umask", async () => {
    const before = process.umask(0);
    try {
      server = await serveLocalApi(join(folder, "socket"), notingRoutes(), silentLog);
    } finally {
      process.umask(before);
    }
    expect(statSync(join(folder, "socket")).mode & 0o777).toBe(0o600);
  });

  test("a socket that nobody listens on is taken over, any other file is left alone", async () => {
    const path = join(folder, "socket");
    writeFileSync(path, "precious");
    await expect(serveLocalApi(path, notingRoutes(), silentLog)).rejects.toMatchObject({ code: "usage" });
    expect(readFileSync(path, "utf8")).toBe("precious");
  });

  test("where no socket can be, the flag is named that chooses another", async () => {
    const tooLong = join(folder, "x".repeat(120));
    await expect(serveLocalApi(tooLong, notingRoutes(), silentLog)).rejects.toMatchObject({
      code: "usage",
      hint: "choose another path with --socket",
    });
    writeFileSync(join(folder, "file"), "");
    await expect(serveLocalApi(join(folder, "file", "socket"), notingRoutes(), silentLog)).rejects.toMatchObject({
      code: "state-unwritable",
      hint: "choose another path with --socket",
    });
  });
});
