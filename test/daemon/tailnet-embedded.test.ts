/** Members over the embedded registry, by its own client and pinned TLS, on loopback. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { formatEndpoint } from "../../src/base/ip.ts";
import { createTailnet, joinBySecret, joinTailnet } from "../../src/daemon/tailnet-start.ts";
import { openRegistry } from "../../src/registry/open.ts";
import type { Registry } from "../../src/registry/registry.ts";
import { type RegistryServer, startRegistryServer } from "../../src/registry/server/start.ts";
import { createTlsIdentity } from "../../src/registry/tls-identity.ts";
import { deriveSharedSecretKeys } from "../../src/trust/secret.ts";
import { until } from "../registry/until.ts";
import { addressOf, contextOver, makeJoinKey, outcome, pool, recordContent, TOKEN } from "./tailnet-fixture.ts";

const secretKeys = await deriveSharedSecretKeys("a secret over the embedded registry");
let server: RegistryServer;
const opened: Registry[] = [];

beforeAll(async () => {
  server = await startRegistryServer({
    dataFile: ":memory:",
    listen: "127.0.0.1:0",
    tokens: { newest: TOKEN },
    tls: createTlsIdentity(secretKeys.tlsSeed),
  });
});

afterAll(async () => {
  for (const registry of opened) registry.close();
  await server.stop();
});

function open(token = TOKEN): Registry {
  const registry = openRegistry(server.url, { token });
  opened.push(registry);
  return registry;
}

describe("over the embedded registry", () => {
  test("create, join, and hear of each other's records in time", async () => {
    const one = contextOver(open());
    const first = await createTailnet(one, { pool: pool("10.11.12.0/24"), name: "one", registryToken: TOKEN });
    first.start();
    const two = contextOver(open());
    const second = await joinTailnet(two, await makeJoinKey(first), "two");
    second.start();
    try {
      expect([addressOf(first), addressOf(second)]).toEqual(["10.11.12.1", "10.11.12.2"]);
      await Promise.all([
        first.publishRecord(recordContent(one, "192.0.2.1:1")),
        second.publishRecord(recordContent(two, "192.0.2.2:2")),
      ]);
      const seen = (netmap = first.netmap("mesh")) => netmap?.peers[0]?.endpoints.map(formatEndpoint)[0];
      await until("one knows two", () => seen() === "192.0.2.2:2");
      await until("two knows one", () => seen(second.netmap("mesh")) === "192.0.2.1:1");
    } finally {
      first.stop();
      second.stop();
    }
  });

  test("a wrong token is said", async () => {
    const context = contextOver(open("another-token"));
    expect(await outcome(joinBySecret(context, secretKeys, { pool: pool("10.0.0.0/8"), name: "x" }))).toBe(
      "wrong-token",
    );
  });

  test("two secret-mode machines that start together end in one tailnet", async () => {
    const start = (name: string) => joinBySecret(contextOver(open()), secretKeys, { pool: pool("10.0.0.0/8"), name });
    const [a, b] = await Promise.all([start("a"), start("b")]);
    await Promise.all([a.sync(), b.sync()]);
    expect(a.id).toBe(b.id);
    expect(a.chain.head).toEqual(b.chain.head);
    expect([addressOf(a), addressOf(b)].sort()).toEqual(["10.0.0.1", "10.0.0.2"]);
  });

  test("20 machines race one one-time key: one gets in", async () => {
    const one = contextOver(open());
    const first = await createTailnet(one, { pool: pool("10.11.12.0/24"), name: "one", registryToken: TOKEN });
    const key = await makeJoinKey(first);
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, () => outcome(joinTailnet(contextOver(open()), key, "x"))),
    );
    expect(outcomes.filter((word) => word === "done")).toHaveLength(1);
    expect(outcomes.filter((word) => word === "join-key-used")).toHaveLength(19);
  });
});

test("junk that is too long for one answer keeps nobody from reading the chain", async () => {
  const strict = await startRegistryServer({
    dataFile: ":memory:",
    listen: "127.0.0.1:0",
    tokens: { newest: TOKEN },
    limits: { answerLength: 100_000 },
  });
  const openStrict = () => {
    const registry = openRegistry(strict.url, { token: TOKEN });
    opened.push(registry);
    return registry;
  };
  const context = contextOver(openStrict());
  const first = await createTailnet(context, { pool: pool("10.11.12.0/24"), name: "one", registryToken: TOKEN });
  const junk = Array.from({ length: 300 }, () => "A".repeat(4000)) as [string, ...string[]];
  await context.registry.rpush(`mt:${first.id}:chain`, ...junk);
  const joinKey = await makeJoinKey(first);
  const second = await joinTailnet(contextOver(openStrict()), joinKey, "two");
  expect(addressOf(second)).toBe("10.11.12.2");
  await first.sync();
  expect(first.chain.head).toEqual(second.chain.head);
  await strict.stop();
});
