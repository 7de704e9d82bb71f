/** Programs that tests and benchmarks run to their end, each with a limit in time. */

export interface CommandOptions {
  /** Added to the environment of this process. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly workingDirectory?: string;
  /** The program is killed after this long, which counts as failure. */
  readonly timeoutMs?: number;
}

export interface CommandResult {
  /** The exit status, or null where a signal or the limit ended the program. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const DEFAULT_TIMEOUT_MS = 60_000;
const ERROR_TAIL_LENGTH_CHARACTERS = 4_000;

/** Runs a program without standard input and collects what it prints; a failure is a result like any other. */
export async function runCommand(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const child = Bun.spawn([...argv], {
    env: { ...process.env, ...options.environment },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    killSignal: "SIGKILL",
    ...(options.workingDirectory === undefined ? {} : { cwd: options.workingDirectory }),
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  await child.exited;
  return { status: child.exitCode, stdout, stderr };
}

/** Runs a program that must succeed and returns what it printed on standard output, without the last line end. */
export async function requireCommand(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
  const result = await runCommand(argv, options);
  if (result.status !== 0) throw new Error(describeFailure(argv, result));
  return result.stdout.trimEnd();
}

/** True if `name` is a program on the PATH, or in the folders of the system that the PATH of a user may lack. */
export function hasProgram(name: string): boolean {
  return Bun.which(name, { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin` }) !== null;
}

function describeFailure(argv: readonly string[], result: CommandResult): string {
  const output = `${result.stdout}\n${result.stderr}`.trim().slice(-ERROR_TAIL_LENGTH_CHARACTERS);
  return `${argv.join(" ")}: ${result.status === null ? "killed" : `exit status ${result.status}`}\n${output}`;
}
