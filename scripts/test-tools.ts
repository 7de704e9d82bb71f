/** The programs of the machine that tests are judged by, and the Debian packages that have them. */

import { hasProgram } from "../test/machine/command.ts";
import { ensurePrograms } from "../test/machine/debian.ts";

/** Program to package. */
export const TEST_TOOLS: Readonly<Record<string, string>> = {
  // Debian's other cargo is too old for what ffi/aead is built of.
  cargo: "cargo-web",
  dockerd: "docker.io",
  faketime: "faketime",
  ip: "iproute2",
  iperf3: "iperf3",
  nft: "nftables",
  ping: "iputils-ping",
  "redis-server": "redis-server",
  setpriv: "util-linux",
  socat: "socat",
  strace: "strace",
  tcpdump: "tcpdump",
  tmux: "tmux",
  tshark: "tshark",
  wg: "wireguard-tools",
  "wg-quick": "wireguard-tools",
  "wireguard-go": "wireguard-go",
};

const ATTEMPTS = 3;

/** Installs what is missing, on a machine that has apt and whose root we are; answers what is still missing. */
export async function installTestTools(): Promise<string[]> {
  const missing = () => Object.keys(TEST_TOOLS).filter((program) => !hasProgram(program));
  for (let attempt = 1; attempt <= ATTEMPTS && missing().length > 0; attempt++) {
    if (!hasProgram("apt-get") || process.getuid?.() !== 0) break;
    try {
      await ensurePrograms(TEST_TOOLS);
    } catch (error) {
      console.log(
        `tools: attempt ${attempt} of ${ATTEMPTS}: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
  return missing();
}
