/** The Dockerfile and compose.yaml as a person uses them, on a real Docker engine. Needs root and package registries. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { REPOSITORY_DIRECTORY } from "../docker/cache.ts";
import { type DockerEngine, openEngine, requireDocker } from "../docker/engine.ts";
import { type HostState, leftovers, readHostState } from "../docker/host-state.ts";
import { ComposeProject } from "../docker/project.ts";

const BUILD_LIMIT_MS = 900_000;
const STEP_LIMIT_MS = 240_000;
const SELFTEST_LIMIT_MS = 180_000;
const OTHER_NETWORK = "minitail-test-other";
const SERVER_ADDRESS = "10.11.12.1";
const CLIENT_ADDRESS = "10.11.12.2";

let before: HostState;
let engine: DockerEngine;
let project: ComposeProject;

beforeAll(async () => {
  before = await readHostState();
  engine = await openEngine();
  project = new ComposeProject(engine, "minitail-test", join(REPOSITORY_DIRECTORY, "compose.yaml"));
  await project.build();
}, BUILD_LIMIT_MS);

afterAll(async () => {
  if (engine === undefined) return;
  try {
    await project.down();
    await engine.docker(["network", "rm", OTHER_NETWORK]);
  } finally {
    await engine.stop();
  }
  if (engine.isOwn) expect(leftovers(before, await readHostState())).toEqual([]);
}, STEP_LIMIT_MS);

describe("docker compose", () => {
  test("up --wait ends green", bringUp, STEP_LIMIT_MS);

  test("server and client reach each other through the tunnel", expectPingsBothWays, STEP_LIMIT_MS);

  test("the image has no Bun and no WireGuard beside the executable", async () => {
    const programs = await project.exec("client", ["sh", "-c", "command -v bun wg wg-quick wireguard-go ip; true"]);
    expect(programs.stdout).toBe("");
  });

  test(
    "the tests inside the executable pass in a container that has nothing else, and no IPv6 either",
    async () => {
      const { status, stdout, stderr } = await engine.docker(
        ["run", "--rm", "minitail", "selftest"],
        SELFTEST_LIMIT_MS,
      );
      if (status !== 0) throw new Error(stderr);
      expect(stdout.trim().split("\n").at(-1)).toMatch(/^\d+ passed, 0 failed$/);
    },
    STEP_LIMIT_MS,
  );

  test("the secret is random, and in no process list or log", async () => {
    const secret = (await project.exec("server", ["cat", "/secret/mesh"])).stdout.trim();
    expect(Buffer.from(secret, "base64")).toHaveLength(16);
    for (const service of ["server", "client"]) {
      const processes = await project.exec(service, ["sh", "-c", "cat /proc/[0-9]*/cmdline"]);
      expect(processes.stdout).not.toContain(secret);
    }
    expect(await project.logs()).not.toContain(secret);
  });

  test(
    "containers that were killed come back as the same nodes",
    async () => {
      const identities = await Promise.all(["server", "client"].map(identityOf));
      await project.kill();
      await bringUp();
      expect(await Promise.all(["server", "client"].map(identityOf))).toEqual(identities);
      await expectPingsBothWays();
    },
    STEP_LIMIT_MS,
  );

  test(
    "containers made anew on the same volumes are the same nodes, at other addresses of Docker's",
    async () => {
      const identities = await Promise.all(["server", "client"].map(identityOf));
      const dockerAddress = await dockerAddressOf("server");
      await project.down({ keepVolumes: true });
      // Takes the range that the project's network had.
      await requireDocker(engine, ["network", "create", OTHER_NETWORK]);
      await bringUp();
      expect(await dockerAddressOf("server")).not.toBe(dockerAddress);
      expect(await Promise.all(["server", "client"].map(identityOf))).toEqual(identities);
      await expectPingsBothWays();
    },
    STEP_LIMIT_MS,
  );
});

async function bringUp(): Promise<void> {
  try {
    await project.up();
  } catch (error) {
    throw new Error(`${error}\n${await project.logs()}`);
  }
}

async function expectPingsBothWays(): Promise<void> {
  await expectPing("client", SERVER_ADDRESS);
  await expectPing("server", CLIENT_ADDRESS);
}

async function expectPing(service: string, address: string): Promise<void> {
  const ping = await project.exec(service, ["ping", "-c", "3", "-i", "0.2", "-W", "5", address]);
  expect(ping.stdout + ping.stderr).toContain("3 packets transmitted, 3 received");
}

async function dockerAddressOf(service: string): Promise<string> {
  const { stdout } = await project.exec(service, ["hostname", "--ip-address"]);
  return stdout.trim();
}

async function identityOf(service: string): Promise<{ id: string; addresses: string[] }> {
  const { stdout } = await project.exec(service, ["minitail", "status", "--json"]);
  const { self } = JSON.parse(stdout) as { self: { id: string; addresses: string[] } };
  return { id: self.id, addresses: self.addresses };
}
