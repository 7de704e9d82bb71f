/**
 * The processes of an engine of our own.
 *
 *     root namespace                        namespaces of the engine (network, mounts, processes)
 *     test ── docker.sock ────────────────▶ dockerd ── containerd ── containers
 *     slirp4netns ── connections ◀───────── tap0
 *
 * An engine sets the machine's forwarding policy to DROP and leaves it so; in a network namespace of its own it changes
 * nothing outside. It is the first process of a process namespace, so nothing that it started outlives it, and it is
 * killed when the test process dies. Published ports are in the engine's namespace: use `docker compose exec`.
 */

import { existsSync, readdirSync, readFileSync, readlinkSync, rmdirSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { runCommand } from "../machine/command.ts";
import { waitUntil } from "../machine/wait.ts";
import { ENGINE_CLEAN_MARK, ENGINE_DATA_DIRECTORY, ENGINE_LOCK, ENGINE_RUN_RECORD } from "./cache.ts";

const START_LIMIT_MS = 30_000;
const STOP_LIMIT_MS = 20_000;
const LOCK_TAKEN_STATUS = 75;
const CGROUPS = "/sys/fs/cgroup";

/**
 * Runs with the lock held. A data directory that no proper stop left behind may be damaged, and begins anew; the
 * sockets of that run go too. Control groups are made by the engine itself: a systemd outside does not know the
 * process numbers in here.
 */
const DAEMON_SCRIPT = `
  set -e
  data=$1 clean_mark=$2 run_record=$3 run=$4
  if [ ! -e "$clean_mark" ]; then
    rm -rf "$data"
    if [ -e "$run_record" ]; then rm -rf "$(cat "$run_record")"; fi
  fi
  rm -f "$clean_mark"
  echo "$run" > "$run_record"
  exec dockerd --data-root "$data" --exec-root "$run/run" --pidfile "$run/docker.pid" --host "unix://$run/docker.sock" \\
    --cgroup-parent "/$(basename "$run")" --exec-opt native.cgroupdriver=cgroupfs
`;

/** `dockerd` in its namespaces and the `slirp4netns` that connects them. */
export class EngineProcesses {
  readonly #runDirectory: string;
  readonly #logPath: string;
  #engine: Bun.Subprocess | undefined;
  #network: Bun.Subprocess | undefined;

  constructor(runDirectory: string) {
    this.#runDirectory = runDirectory;
    this.#logPath = join(runDirectory, "dockerd.log");
  }

  async start(environment: Readonly<Record<string, string>>): Promise<void> {
    const earlierRun = existsSync(ENGINE_RUN_RECORD) ? basename(readFileSync(ENGINE_RUN_RECORD, "utf8").trim()) : "";
    const engine = this.#spawn([
      ...["flock", "--no-fork", "--nonblock", "--conflict-exit-code", `${LOCK_TAKEN_STATUS}`, ENGINE_LOCK],
      ...["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"],
      ...["--mount-proc", "sh", "-c", DAEMON_SCRIPT, "sh"],
      ...[ENGINE_DATA_DIRECTORY, ENGINE_CLEAN_MARK, ENGINE_RUN_RECORD, this.#runDirectory],
    ]);
    this.#engine = engine;
    const alive = () => {
      if (engine.exitCode === LOCK_TAKEN_STATUS) throw new Error("another run's Docker engine uses .cache/docker");
      if (engine.exitCode !== null) throw new Error(`the Docker engine ended:\n${this.#log()}`);
    };
    await waitUntil("the engine's network namespace", START_LIMIT_MS, () => {
      alive();
      return hasOwnNetwork(engine.pid);
    });
    this.#network = this.#spawn([
      ...["setpriv", "--pdeathsig", "KILL", "slirp4netns", "--configure", "--mtu=1500", "--disable-host-loopback"],
      ...[`${engine.pid}`, "tap0"],
    ]);
    await waitUntil("the Docker engine", START_LIMIT_MS, async () => {
      alive();
      return (await runCommand(["docker", "version"], { environment })).status === 0;
    });
    // The lock is ours now, so an earlier engine is gone, however it ended.
    if (earlierRun !== "") removeControlGroups(earlierRun);
  }

  async stop(): Promise<void> {
    const engine = this.#engine;
    if (engine !== undefined && engine.exitCode === null) {
      const daemon = childOf(engine.pid);
      if (daemon !== undefined) process.kill(daemon, "SIGTERM");
      const ended = waitUntil("the engine's end", STOP_LIMIT_MS, () => engine.exitCode !== null);
      if (await ended.then(() => true).catch(() => false)) await writeFile(ENGINE_CLEAN_MARK, "");
      else engine.kill("SIGKILL");
      await engine.exited;
    }
    this.#network?.kill("SIGTERM");
    await this.#network?.exited;
    removeControlGroups(basename(this.#runDirectory));
    await rm(this.#runDirectory, { recursive: true });
  }

  #spawn(argv: string[]): Bun.Subprocess {
    const log = Bun.file(this.#logPath);
    const PATH = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`;
    return Bun.spawn(argv, { stdin: "ignore", stdout: log, stderr: log, env: { ...process.env, PATH } });
  }

  #log(): string {
    return existsSync(this.#logPath) ? readFileSync(this.#logPath, "utf8").slice(-2_000) : "";
  }
}

function childOf(pid: number): number | undefined {
  const first = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ")[0];
  return first ? Number(first) : undefined;
}

function hasOwnNetwork(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`) !== readlinkSync("/proc/self/ns/net");
  } catch {
    return false; // It has ended.
  }
}

/** Removes the empty groups that an engine leaves: one in each hierarchy of version 1, one in all of version 2. */
function removeControlGroups(name: string): void {
  for (const hierarchy of ["", ...readdirSync(CGROUPS)]) removeEmptyDirectories(join(CGROUPS, hierarchy, name));
}

function removeEmptyDirectories(directory: string): void {
  if (!existsSync(directory)) return;
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) removeEmptyDirectories(join(directory, entry.name));
  }
  rmdirSync(directory);
}
