/**
 * The archive that one of ffi/aead's libraries is linked from, out of Debian's package `libipsec-mb-dev`, which is
 * unpacked beside and not installed.
 */

import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

const PACKAGE = "libipsec-mb-dev";
const VERSION = "1.3-2";
const ARCHIVE = "libIPSec_MB.a";
const FOLDER_IN_PACKAGE = "usr/lib/x86_64-linux-gnu";

const LIMIT_MS = 120_000;

/**
 * Answers the folder that has the archive.
 *
 * @param folder where the package is unpacked
 * @param checksums SHA-256 in hexadecimal, by package, version and file
 * @throws Error where the package can't be had, or is another one than the checksum says
 */
export function unpackIpsecMb(
  folder: string,
  checksums: Readonly<Record<string, string>>,
  environment: Readonly<Record<string, string | undefined>>,
): string {
  if (process.arch !== "x64") throw new Error("it is for x86-64 alone");
  const archiveFolder = join(folder, FOLDER_IN_PACKAGE);
  const archive = join(archiveFolder, ARCHIVE);
  if (!existsSync(archive)) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    const download = ["apt-get", "--quiet", "-o", "APT::Sandbox::User=root", "download", `${PACKAGE}=${VERSION}`];
    try {
      run(download);
    } catch (error) {
      // A machine that is new has no list of packages yet.
      if (process.getuid?.() !== 0) throw error;
      run(["apt-get", "--quiet", "update"]);
      run(download);
    }
    run(["sh", "-c", "dpkg-deb --extract *.deb . && rm *.deb"]);
  }
  const checksum = new Bun.CryptoHasher("sha256").update(readFileSync(archive)).digest("hex");
  if (checksum === checksums[`${PACKAGE} ${VERSION} ${ARCHIVE}`]) return archiveFolder;
  rmSync(folder, { recursive: true });
  throw new Error(`${ARCHIVE} of ${PACKAGE} ${VERSION} is not the one of libraries.json`);

  function run(argv: readonly string[]): void {
    if (Bun.which(argv[0]!, { PATH: environment["PATH"] ?? "" }) === null) throw new Error(`there is no ${argv[0]}`);
    const options = {
      cwd: folder,
      env: { ...environment },
      timeout: LIMIT_MS,
      stderr: "pipe",
      stdout: "ignore",
    } as const;
    const child = Bun.spawnSync([...argv], options);
    if (child.success) return;
    const complaint = child.stderr
      .toString()
      .split("\n")
      .find((line) => line.startsWith("E:"));
    throw new Error(`${PACKAGE} ${VERSION} can't be had: ${complaint ?? `${argv[0]}: status ${child.exitCode}`}`);
  }
}
