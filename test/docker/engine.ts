/** A Docker engine to test on: the machine's own if it works, otherwise one that this harness starts and stops. */

import { mkdir, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CommandResult, requireCommand, runCommand } from "../machine/command.ts";
import { ensurePrograms } from "../machine/debian.ts";
import { CACHE_DIRECTORY, CLIENT_DIRECTORY } from "./cache.ts";
import { composeVersion, ensureComposePlugin } from "./compose-plugin.ts";
import { EngineProcesses } from "./engine-processes.ts";
import { makeImages, pullImages } from "./images.ts";

const BUILD_CACHE_LIMIT = "2GB";

const PACKAGE_OF_PROGRAM = {
  dockerd: "docker.io",
  docker: "docker.io",
  iptables: "iptables",
  slirp4netns: "slirp4netns",
  mmdebstrap: "mmdebstrap",
};

export interface DockerEngine {
  /** True if this harness started it. */
  readonly isOwn: boolean;
  /** What a `docker` client needs to reach it. */
  readonly environment: Readonly<Record<string, string>>;
  /** Runs the `docker` client to its end. */
  docker(argv: readonly string[], timeoutMs?: number): Promise<CommandResult>;
  /** Stops the engine if it is our own. Its images and build cache stay for the next run. */
  stop(): Promise<void>;
}

/** The machine's engine, if there is one with Compose and the base images; otherwise one of our own. Needs root. */
export async function openEngine(): Promise<DockerEngine> {
  return (await machineEngine()) ?? (await startEngine());
}

async function machineEngine(): Promise<DockerEngine | undefined> {
  if (Bun.which("docker") === null) return undefined;
  if ((await runCommand(["docker", "info"], { timeoutMs: 10_000 })).status !== 0) return undefined;
  if ((await composeVersion({})) === undefined || !(await pullImages({}))) return undefined;
  return { isOwn: false, environment: {}, docker: clientOf({}), stop: async () => {} };
}

/** Starts an engine of our own, installing from Debian what that needs. */
export async function startEngine(): Promise<DockerEngine> {
  if (process.getuid?.() !== 0) throw new Error("a Docker engine can only be started by root");
  await ensurePrograms(PACKAGE_OF_PROGRAM);
  await mkdir(CACHE_DIRECTORY, { recursive: true });
  await ensureComposePlugin();
  // Not in the cache: the name of a Unix socket has at most 107 bytes, and the repository may lie deep.
  const runDirectory = await mkdtemp(join(tmpdir(), "minitail-docker-"));
  const environment = { DOCKER_CONFIG: CLIENT_DIRECTORY, DOCKER_HOST: `unix://${runDirectory}/docker.sock` };
  const processes = new EngineProcesses(runDirectory);
  try {
    await processes.start(environment);
    await makeImages(environment);
  } catch (error) {
    await processes.stop();
    throw error;
  }
  const docker = clientOf(environment);
  return {
    isOwn: true,
    environment,
    docker,
    async stop() {
      await docker(["image", "prune", "--force"]);
      await docker(["builder", "prune", "--force", "--keep-storage", BUILD_CACHE_LIMIT]);
      await processes.stop();
    },
  };
}

function clientOf(environment: Readonly<Record<string, string>>): DockerEngine["docker"] {
  return (argv, timeoutMs) =>
    runCommand(["docker", ...argv], { environment, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
}

/** Runs the `docker` client, which must succeed, and returns what it printed. */
export async function requireDocker(
  engine: DockerEngine,
  argv: readonly string[],
  timeoutMs = 60_000,
): Promise<string> {
  return requireCommand(["docker", ...argv], { environment: engine.environment, timeoutMs });
}
