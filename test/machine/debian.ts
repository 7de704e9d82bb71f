/** Debian packages that tests and benchmarks need, all from the mirror that the machine's own apt uses. */

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hasProgram, requireCommand, runCommand } from "./command.ts";

const INSTALL_TIMEOUT_MS = 300_000;
const DEBIAN_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

export interface Mirror {
  readonly url: string;
  /** The release's name: `bookworm`. */
  readonly release: string;
}

/**
 * Installs the packages of those programs that the machine lacks. `RUNLEVEL=1` keeps their services from being
 * started: a Docker engine in the root namespace would change the machine's forwarding.
 *
 * @param packageOfProgram the program to look for, and the package that has it
 */
export async function ensurePrograms(packageOfProgram: Readonly<Record<string, string>>): Promise<void> {
  const missing = Object.entries(packageOfProgram).filter(([program]) => !hasProgram(program));
  if (missing.length === 0) return;
  const install = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends"];
  const argv = [...install, ...new Set(missing.map(([, name]) => name))];
  const options = {
    environment: { DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" },
    timeoutMs: INSTALL_TIMEOUT_MS,
  };
  if ((await runCommand(argv, options)).status === 0) return;
  await requireCommand(["apt-get", "update", "--quiet"], options);
  await requireCommand(argv, options);
}

/** The mirror and release that apt is configured with, of either format of its sources. */
export async function machineMirror(): Promise<Mirror> {
  const format = "$(IDENTIFIER) $(COMPONENT) $(CODENAME) $(REPO_URI)";
  const targets = await requireCommand(["apt-get", "indextargets", "--format", format]);
  const release = await requireCommand(["sh", "-c", '. /etc/os-release && echo "$VERSION_CODENAME"']);
  for (const line of targets.split("\n")) {
    const [identifier, component, codename, url] = line.split(" ");
    if (identifier === "Packages" && component === "main" && codename === release && url) return { url, release };
  }
  throw new Error(
    `apt has no source for the main component of ${release}; is this Debian, and was apt-get update run?`,
  );
}

/** apt's settings for fetching on this machine (proxies, how old a list may be), as lines of its configuration. */
export async function machineFetchSettings(): Promise<string[]> {
  const settings = await requireCommand(["apt-config", "dump", "--format", '%F "%v";%n', "Acquire"]);
  return settings
    .split("\n")
    .filter((line) => /^Acquire::(Check-|http|https|ForceIPv4|Retries)\S* "[^"]+";/.test(line));
}

/**
 * Unpacks one package of another release than the machine's, without installing it.
 *
 * @param directory apt's own state for that release; made where it is missing
 * @param target where the package's files are put
 */
export async function unpackFromRelease(
  release: string,
  packageName: string,
  directory: string,
  target: string,
): Promise<void> {
  const { url } = await machineMirror();
  await mkdir(join(directory, "lists/partial"), { recursive: true });
  await mkdir(join(directory, "cache/archives/partial"), { recursive: true });
  const sources = join(directory, "sources.list");
  await writeFile(sources, `deb [signed-by=${DEBIAN_KEYRING}] ${url} ${release} main\n`);
  const aptGet = ["apt-get", "--quiet"].concat(
    [
      `Dir::Etc::SourceList=${sources}`,
      "Dir::Etc::SourceParts=-",
      `Dir::State::Lists=${join(directory, "lists")}`,
      `Dir::Cache=${join(directory, "cache")}`,
      "Acquire::Languages=none",
      "APT::Sandbox::User=root",
    ].flatMap((setting) => ["-o", setting]),
  );
  await requireCommand([...aptGet, "update"], { timeoutMs: INSTALL_TIMEOUT_MS });
  const downloads = await mkdtemp(join(directory, "download-"));
  try {
    await requireCommand([...aptGet, "download", packageName], {
      workingDirectory: downloads,
      timeoutMs: INSTALL_TIMEOUT_MS,
    });
    await requireCommand(["sh", "-c", 'dpkg-deb --extract "$1"/*.deb "$2"', "sh", downloads, target]);
  } finally {
    await rm(downloads, { recursive: true });
  }
}
