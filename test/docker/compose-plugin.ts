/** Docker Compose v2: the machine's own where it has one, otherwise the first that Debian has, without installing it. */

import { chmod, copyFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CommandOptions, runCommand } from "../machine/command.ts";
import { unpackFromRelease } from "../machine/debian.ts";
import { APT_DIRECTORY, CLIENT_DIRECTORY } from "./cache.ts";

/** Debian 12 has Compose v1 only; the plugin of Debian 13 runs there too. */
const RELEASE_WITH_COMPOSE = "trixie";

/** The version of the Compose plugin that the client finds, or undefined if it finds none of version 2 or later. */
export async function composeVersion(
  environment: NonNullable<CommandOptions["environment"]>,
): Promise<string | undefined> {
  const { status, stdout } = await runCommand(["docker", "compose", "version", "--short"], { environment });
  const version = stdout.trim().replace(/^v/, "");
  return status === 0 && Number.parseInt(version, 10) >= 2 ? version : undefined;
}

/** Puts a Compose plugin where a client with `DOCKER_CONFIG` set to the harness's directory finds it. */
export async function ensureComposePlugin(): Promise<void> {
  if ((await composeVersion({ DOCKER_CONFIG: CLIENT_DIRECTORY })) !== undefined) return;
  const unpacked = await mkdtemp(join(tmpdir(), "minitail-compose-"));
  try {
    await unpackFromRelease(RELEASE_WITH_COMPOSE, "docker-compose", APT_DIRECTORY, unpacked);
    const plugin = join(CLIENT_DIRECTORY, "cli-plugins/docker-compose");
    await mkdir(join(CLIENT_DIRECTORY, "cli-plugins"), { recursive: true });
    await copyFile(join(unpacked, "usr/libexec/docker/cli-plugins/docker-compose"), plugin);
    await chmod(plugin, 0o755);
  } finally {
    await rm(unpacked, { recursive: true });
  }
  if ((await composeVersion({ DOCKER_CONFIG: CLIENT_DIRECTORY })) === undefined) {
    throw new Error(`the docker client does not take the Compose plugin of ${RELEASE_WITH_COMPOSE}`);
  }
}
