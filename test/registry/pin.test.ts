/** Who a client takes for its registry: the holder of the pinned key, and nobody gets the token before. */

import { afterEach, expect, test } from "bun:test";
import { lookup } from "node:dns/promises";
import { networkInterfaces } from "node:os";
import { silentLog } from "../../src/base/log.ts";
import { openRegistry } from "../../src/registry/open.ts";
import type { Registry } from "../../src/registry/registry.ts";
import { type Listener, parseListen, startListener } from "../../src/registry/server/listener.ts";
import { createTlsIdentity, type TlsIdentity } from "../../src/registry/tls-identity.ts";
import { formatPinnedUrl } from "../../src/registry/url.ts";
import { rejection, until } from "./until.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** A server that answers every command with "PONG" and keeps what was sent to it. */
function pongServer(tls: TlsIdentity, port = 0, host = "127.0.0.1") {
  const authorizations: (string | null)[] = [];
  const clientPorts: number[] = [];
  const listener: Listener = startListener({
    endpoint: parseListen(`${host}:${port}`),
    tls,
    routes: [
      (request, connection) => {
        clientPorts.push(connection.remotePort);
        authorizations.push(request.headers.get("authorization"));
        return Response.json([{ result: btoa("PONG") }]);
      },
    ],
    longestRequestBytes: 10_000,
    log: silentLog,
  });
  closing.push(() => listener.stop());
  return { port: listener.port, authorizations, clientPorts, stop: () => listener.stop() };
}

function open(url: string, options: Parameters<typeof openRegistry>[1] = {}): Registry {
  const registry = openRegistry(url, { token: "secret-token", ...options });
  closing.push(() => registry.close());
  return registry;
}

test("the pinned key is accepted, from the URL and from the options", async () => {
  const identity = createTlsIdentity();
  const server = pongServer(identity);
  await open(formatPinnedUrl("127.0.0.1", server.port, identity.pin)).ping();
  await open(`https://127.0.0.1:${server.port}`, { pin: identity.pin }).ping();
  // A machine with nothing on it has no /etc/hosts either.
  const hosts = (await lookup("localhost").catch(() => undefined)) ? ["localhost"] : [];
  for (const host of hosts) await open(formatPinnedUrl(host, server.port, identity.pin)).ping();
  expect(server.authorizations).toEqual(Array(2 + hosts.length).fill("Bearer secret-token"));
});

test("IPv6, and both families on [::]", async () => {
  const identity = createTlsIdentity();
  const server = pongServer(identity, 0, "[::]");
  // A container has no IPv6 unless it is asked for.
  const hasIPv6 = networkInterfaces()["lo"]?.some(({ family }) => family === "IPv6") ?? false;
  for (const host of hasIPv6 ? ["[::1]", "127.0.0.1"] : ["127.0.0.1"]) {
    await open(formatPinnedUrl(host, server.port, identity.pin)).ping();
  }
});

test("another key is wrong-pin, and gets no request", async () => {
  const server = pongServer(createTlsIdentity());
  const registry = open(formatPinnedUrl("127.0.0.1", server.port, createTlsIdentity().pin));
  expect(await rejection(registry.ping())).toMatchObject({ code: "wrong-pin" });
  expect(await rejection(registry.ping())).toMatchObject({ code: "wrong-pin" });
  expect(server.authorizations).toEqual([]);
});

test("the pinned key in a certificate that is not ours is refused for good, and gets no request", async () => {
  const { certificatePem, ...identity } = createTlsIdentity();
  const certificate = Buffer.from(certificatePem.replaceAll(/-.*-/g, ""), "base64");
  certificate.write("somebody", certificate.indexOf("registry.minitail"));
  const pem = `-----BEGIN CERTIFICATE-----\n${certificate.toString("base64")}\n-----END CERTIFICATE-----\n`;
  const server = pongServer({ ...identity, certificatePem: pem });
  const registry = open(formatPinnedUrl("127.0.0.1", server.port, identity.pin));
  expect(await rejection(registry.ping())).toMatchObject({
    code: "wrong-pin",
    message: "the registry shows another certificate than minitail's (ERR_TLS_CERT_ALTNAME_INVALID)",
  });
  expect(server.authorizations).toEqual([]);
});

test("a proxy in the environment is not asked for a registry whose key is pinned", async () => {
  const identity = createTlsIdentity();
  const server = pongServer(identity);
  const before = process.env["HTTPS_PROXY"];
  process.env["HTTPS_PROXY"] = "http://127.0.0.1:1";
  try {
    await open(formatPinnedUrl("127.0.0.1", server.port, identity.pin)).ping();
  } finally {
    if (before === undefined) delete process.env["HTTPS_PROXY"];
    else process.env["HTTPS_PROXY"] = before;
  }
  expect(server.authorizations).toHaveLength(1);
});

test("requests share one connection", async () => {
  const identity = createTlsIdentity();
  const server = pongServer(identity);
  const registry = open(formatPinnedUrl("127.0.0.1", server.port, identity.pin));
  for (let i = 0; i < 5; i++) await registry.ping();
  expect(new Set(server.clientPorts).size).toBe(1);
});

test("a self-signed registry without a pin is refused, and gets no request, also where the pin is known to another", async () => {
  const identity = createTlsIdentity();
  const server = pongServer(identity);
  await open(formatPinnedUrl("127.0.0.1", server.port, identity.pin)).ping();
  server.authorizations.length = 0;
  const error = await rejection(open(`https://127.0.0.1:${server.port}`).ping());
  expect(error).toMatchObject({ code: "wrong-pin", hint: expect.stringContaining("#pin=") });
  expect(server.authorizations).toEqual([]);
});

test("a known registry that comes back with another key is refused, and with a new certificate of its key is not", async () => {
  const identity = createTlsIdentity(new Uint8Array(32).fill(1));
  const first = pongServer(identity);
  const registry = open(formatPinnedUrl("127.0.0.1", first.port, identity.pin));
  await registry.ping();
  await first.stop();
  const impostor = pongServer(createTlsIdentity(), first.port);
  expect(await rejection(registry.ping())).toMatchObject({ code: "wrong-pin" });
  expect(impostor.authorizations).toEqual([]);
  await impostor.stop();
  pongServer(createTlsIdentity(new Uint8Array(32).fill(1)), first.port);
  await registry.ping();
});

test("a server that never answers the handshake: requests end in time, and closing ends it at once", async () => {
  let connections = 0;
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open() {
        connections++;
      },
      close() {
        connections--;
      },
      data() {},
    },
  });
  closing.push(() => server.stop(true));
  const registry = open(formatPinnedUrl("127.0.0.1", server.port, createTlsIdentity().pin), { requestTimeoutMs: 50 });
  expect(await rejection(registry.ping())).toMatchObject({ code: "registry-unreachable" });
  const waiting = open(formatPinnedUrl("127.0.0.1", server.port, createTlsIdentity().pin));
  const ping = rejection(waiting.ping());
  await until("it connected", () => connections === 2);
  waiting.close();
  expect(await ping).toMatchObject({ code: "registry-unreachable" });
  registry.close();
  await until("both connections are closed", () => connections === 0);
});

test("what is no TLS server is unreachable, and is not told the token", async () => {
  let received = "";
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket, data) {
        received += data.toString("latin1");
        socket.end("HTTP/1.1 200 OK\r\n\r\n");
      },
    },
  });
  closing.push(() => server.stop(true));
  const registry = open(formatPinnedUrl("127.0.0.1", server.port, createTlsIdentity().pin));
  expect(await rejection(registry.ping())).toMatchObject({
    code: expect.stringMatching(/^(registry-unreachable|wrong-pin)$/),
  });
  expect(received).not.toContain("secret-token");
});

test("a server without TLS is called that", async () => {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("<html>") });
  closing.push(() => server.stop(true));
  const registry = open(formatPinnedUrl("127.0.0.1", server.port!, createTlsIdentity().pin));
  expect(await rejection(registry.ping())).toMatchObject({
    message: `cannot reach the registry https://127.0.0.1:${server.port}: what answers there does not speak TLS`,
  });
});
