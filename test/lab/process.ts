/** A program that runs on a host: its output as it comes, its end. */

import { eventually } from "./eventually.ts";

const STOP_LIMIT_MS = 10_000;
/** How long a program that has ended is read on, if what it left behind (a daemon) keeps its output open. */
const LATE_OUTPUT_MS = 100;

export interface SpawnOptions {
  /** Besides the test's own environment; `undefined` takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** What it reads; nothing by default. `"pipe"`: what `write` is given, until `endInput`. */
  readonly stdin?: string | Uint8Array | "pipe";
  /** Default: the test's own. The host sees the same folders, but for those of `keeper.ts`. */
  readonly cwd?: string;
}

/** How a program ended: by itself, or by a signal. */
export interface Exit {
  readonly status: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
}

export class HostProcess {
  /** For messages: the program and its arguments. */
  readonly commandLine: string;
  readonly pid: number;
  /** Settles when it has ended and what it wrote was read. What it left behind may write more. */
  readonly exited: Promise<Exit>;
  /** What it has written so far. */
  stdout = "";
  stderr = "";
  #exit: Exit | undefined;
  readonly #child: Bun.Subprocess<Uint8Array | "pipe" | "ignore", "pipe", "pipe">;

  /** @param enter the command that leads into the host, to be followed by `command` */
  constructor(enter: readonly string[], command: readonly string[], options: SpawnOptions = {}) {
    this.commandLine = command.join(" ");
    const { stdin } = options;
    this.#child = Bun.spawn([...enter, ...command], {
      env: { ...process.env, ...options.env },
      stdin:
        stdin === undefined ? "ignore" : stdin === "pipe" || typeof stdin !== "string" ? stdin : Buffer.from(stdin),
      stdout: "pipe",
      stderr: "pipe",
    });
    this.pid = this.#child.pid;
    this.exited = this.#collect();
  }

  /** How it ended, `undefined` while it runs. */
  get exit(): Exit | undefined {
    return this.#exit;
  }

  /**
   * Waits until what it has written, on either stream, matches `pattern`, and answers the match.
   *
   * @throws Error if it ends before, or after `limitMs`, with what it wrote
   */
  async waitForOutput(pattern: RegExp, limitMs: number): Promise<RegExpExecArray> {
    let ended = false;
    const match = await eventually(
      `"${this.commandLine}" to write ${pattern}`,
      () => {
        const found = pattern.exec(this.stdout) ?? pattern.exec(this.stderr);
        if (found !== null) return found;
        ended = this.#exit !== undefined;
        if (ended) return "ended" as const;
        throw new Error(this.#describe());
      },
      limitMs,
    );
    if (match === "ended") throw new Error(`"${this.commandLine}" never wrote ${pattern}: ${this.#describe()}`);
    return match;
  }

  /** Waits for its end. @throws Error after `limitMs`, with what it wrote */
  async waitForExit(limitMs: number): Promise<Exit> {
    return await eventually(
      `"${this.commandLine}" to end`,
      () => {
        if (this.#exit === undefined) throw new Error(this.#describe());
        return this.#exit;
      },
      limitMs,
    );
  }

  /** Sends `signal`, if it still runs. */
  kill(signal: NodeJS.Signals): void {
    if (this.#exit === undefined) this.#child.kill(signal);
  }

  /**
   * Sends `signal` and waits for the end.
   *
   * @throws Error if it still runs after `limitMs`; it is then killed
   */
  async stop(signal: NodeJS.Signals = "SIGTERM", limitMs = STOP_LIMIT_MS): Promise<Exit> {
    this.kill(signal);
    try {
      return await this.waitForExit(limitMs);
    } finally {
      this.kill("SIGKILL");
    }
  }

  /** Gives it `text` to read. Of a process with `stdin: "pipe"`. */
  write(text: string): void {
    const input = this.#input();
    input.write(text);
    input.flush();
  }

  /** No more is to be read. Of a process with `stdin: "pipe"`. */
  endInput(): void {
    this.#input().end();
  }

  #input(): Bun.FileSink {
    const { stdin } = this.#child;
    if (stdin === undefined || typeof stdin === "number") throw new TypeError(`"${this.commandLine}" has no input`);
    return stdin;
  }

  async #collect(): Promise<Exit> {
    const outputEnds = Promise.all([
      collect(this.#child.stdout, (text) => {
        this.stdout += text;
      }),
      collect(this.#child.stderr, (text) => {
        this.stderr += text;
      }),
    ]);
    await this.#child.exited;
    await Promise.race([outputEnds, Bun.sleep(LATE_OUTPUT_MS)]);
    const { exitCode, signalCode } = this.#child;
    const exit: Exit =
      signalCode === null
        ? { status: exitCode ?? undefined, signal: undefined }
        : { status: undefined, signal: signalCode as NodeJS.Signals };
    this.#exit = exit;
    return exit;
  }

  #describe(): string {
    const state = this.#exit === undefined ? "it runs" : `it ended (${this.#exit.signal ?? this.#exit.status})`;
    return `${state}, stdout ${JSON.stringify(this.stdout)}, stderr ${JSON.stringify(this.stderr)}`;
  }
}

async function collect(stream: ReadableStream<Uint8Array<ArrayBuffer>>, take: (text: string) => void): Promise<void> {
  for await (const text of stream.pipeThrough(new TextDecoderStream())) take(text);
}
