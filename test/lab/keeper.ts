/**
 * The process that keeps what a host has besides its network: a file system and a name of its own.
 *
 * The host sees the machine's files, but for these folders, which are empty and its own: /run (so that the sockets of two
 * daemons, of `wg` and of the machine's services don't meet) and /var/lib (where daemons keep their state); and /sys,
 * which shows the host's interfaces. The keeper ends by itself when its owner does, because its input is then at an end.
 */

import { inNamespace } from "bun-ffi-tun";

export interface KeeperOptions {
  readonly namespaceFd: number;
  readonly hostname: string;
  /** Files that the host alone sees, by path: `{"/etc/resolv.conf": "nameserver 192.0.2.53\n"}`. */
  readonly files: Readonly<Record<string, string>>;
}

export interface Keeper {
  readonly pid: number;
  /** Held open: the keeper lives until it is at its end, or collected as garbage. */
  readonly input: Bun.FileSink;
}

/** The files are mounted one by one, since the folder that they are in is the machine's. */
const FILES_FOLDER = "/run/host-files";
const READY = "ready\n";

const SCRIPT = `
set -eu
echo "$1" > /proc/sys/kernel/hostname
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs /var/lib
mount -t sysfs sysfs /sys
mkdir -p /run/lock /run/wireguard /run/minitail /var/lib/minitail
shift
if [ $# -gt 0 ]; then mkdir ${FILES_FOLDER}; fi
number=0
while [ $# -gt 0 ]; do
  target=$(readlink -m "$1")
  printf %s "$2" > ${FILES_FOLDER}/$number
  case "$target" in
    /run/*|/var/lib/*) mkdir -p "$(dirname "$target")"; touch "$target" ;;
  esac
  mount --bind ${FILES_FOLDER}/$number "$target"
  number=$((number + 1))
  shift 2
done
printf '${READY.trim()}\\n'
exec cat > /dev/null
`;

/** Starts a keeper. @throws Error with what its script said if it failed */
export async function startKeeper({ namespaceFd, hostname, files }: KeeperOptions): Promise<Keeper> {
  const script = ["sh", "-c", SCRIPT, "keeper", hostname, ...Object.entries(files).flat()];
  const child = inNamespace(namespaceFd, () =>
    Bun.spawn(["unshare", "--mount", "--uts", "--propagation", "slave", ...script], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    }),
  );
  let said = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    said += chunk;
    if (said === READY) return { pid: child.pid, input: child.stdin };
  }
  throw new Error(`host ${hostname} could not be made: ${(await child.stderr.text()).trim()}`);
}
