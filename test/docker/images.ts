/**
 * The images that the Dockerfile begins with, made on this machine where no hub can be reached: a local tag is used
 * before the hub, so the Dockerfile needs no build arguments.
 */

import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { requireCommand, runCommand } from "../machine/command.ts";
import { machineFetchSettings, machineMirror } from "../machine/debian.ts";

export const DEBIAN_IMAGE = "debian:bookworm-slim";
export const BUN_IMAGE = "oven/bun:1.4.5";

const IMAGE_TIMEOUT_MS = 180_000;
const PULL_TIMEOUT_MS = 120_000;
const CERTIFICATES_IN_IMAGE = "/usr/local/share/ca-certificates.crt";

export type ClientEnvironment = Readonly<Record<string, string>>;

/** True if the engine has both images already, or can pull them. */
export async function pullImages(environment: ClientEnvironment): Promise<boolean> {
  for (const image of [DEBIAN_IMAGE, BUN_IMAGE]) {
    if (await hasImage(image, environment)) continue;
    const pull = await runCommand(["docker", "pull", "--quiet", image], { environment, timeoutMs: PULL_TIMEOUT_MS });
    if (pull.status !== 0) return false;
  }
  return true;
}

/** Gives the engine both images, made from Debian's packages and from the Bun that runs this. */
export async function makeImages(environment: ClientEnvironment): Promise<void> {
  if (!(await hasImage(DEBIAN_IMAGE, environment))) await makeDebianImage(environment);
  if (!(await hasImage(BUN_IMAGE, environment))) await makeBunImage(environment);
}

async function hasImage(image: string, environment: ClientEnvironment): Promise<boolean> {
  return (await runCommand(["docker", "image", "inspect", image], { environment })).status === 0;
}

async function makeDebianImage(environment: ClientEnvironment): Promise<void> {
  const { url } = await machineMirror();
  const settings = (await machineFetchSettings()).map((line) => `--aptopt=${line}`);
  const directory = await mkdtemp(join(tmpdir(), "minitail-image-"));
  try {
    const archive = join(directory, "base.tar");
    const bootstrap = ["mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", ...settings];
    await requireCommand([...bootstrap, "bookworm", archive, url], { timeoutMs: IMAGE_TIMEOUT_MS });
    await requireCommand(["docker", "import", "--change", 'CMD ["bash"]', archive, DEBIAN_IMAGE], {
      environment,
      timeoutMs: IMAGE_TIMEOUT_MS,
    });
  } finally {
    await rm(directory, { recursive: true });
  }
}

/**
 * Bun ignores certificates that are put into /etc/ssl/certs, so the machine's bundle is named by a variable: it may
 * hold one of the machine's own, without which a package registry cannot be reached from here.
 */
async function makeBunImage(environment: ClientEnvironment): Promise<void> {
  const version = BUN_IMAGE.split(":")[1];
  if (Bun.version !== version) throw new Error(`${BUN_IMAGE} is made from the Bun that runs this: ${Bun.version}`);
  const certificates = process.env["NODE_EXTRA_CA_CERTS"] ?? "/etc/ssl/certs/ca-certificates.crt";
  const options = { environment, timeoutMs: IMAGE_TIMEOUT_MS };
  const container = await requireCommand(["docker", "create", DEBIAN_IMAGE, "true"], options);
  try {
    const changes = ["--change", "WORKDIR /home/bun/app"];
    await requireCommand(
      ["docker", "cp", "--follow-link", process.execPath, `${container}:/usr/local/bin/bun`],
      options,
    );
    if (existsSync(certificates)) {
      await requireCommand(
        ["docker", "cp", "--follow-link", certificates, `${container}:${CERTIFICATES_IN_IMAGE}`],
        options,
      );
      changes.push("--change", `ENV NODE_EXTRA_CA_CERTS=${CERTIFICATES_IN_IMAGE}`);
    }
    const registry = process.env["BUN_CONFIG_REGISTRY"] ?? process.env["npm_config_registry"];
    if (registry !== undefined) changes.push("--change", `ENV BUN_CONFIG_REGISTRY=${registry}`);
    await requireCommand(["docker", "commit", ...changes, container, BUN_IMAGE], options);
  } finally {
    await requireCommand(["docker", "rm", "--force", container], options);
  }
}
