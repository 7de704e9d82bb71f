/** `minitail selftest`: the tests that the executable carries, run by the Bun that it contains. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { errorMessage, MinitailError } from "../../base/errors.ts";
import { measureCipher } from "../../daemon/start.ts";
import { declareCommand } from "../declare.ts";
import { EXIT_DONE, EXIT_FAILED } from "../exit-status.ts";
import { writeErrorLine } from "../output.ts";
import { formatTestCounts, parseTestCounts } from "../test-counts.ts";

/** Of a test that names none: one that hangs fails, and one on a slow and busy machine does not. */
const TEST_LIMIT_MS = 120_000;

export default declareCommand({
  name: "selftest",
  description: "run the tests that are embedded in the executable",
  examples: ["minitail selftest"],
  args: {},
  async run(_args, { globals, output }) {
    const bundle = await readBundle();
    const directory = makeDirectory();
    try {
      const file = join(directory, "selftest.test.js");
      writeFileSync(file, bundle, { mode: 0o600 });
      await writeNativeModules(directory);
      const report = await runTests(file, directory, !globals.json);
      const counts = parseTestCounts(report.text);
      const { passed, failed } = counts ?? { passed: 0, failed: 1 };
      const cipher = await measureCipher();
      const perPacket = `seals a packet in ${cipher.sealMicroseconds.toFixed(2)} µs, opens it in ${cipher.openMicroseconds.toFixed(2)} µs`;
      if (globals.json) output.json({ passed, failed, cipher });
      else output.line(`packets: ${cipher.name} ${perPacket}`);
      if (!globals.json) output.line(formatTestCounts({ passed, failed }));
      return report.status === 0 && failed === 0 && passed > 0 ? EXIT_DONE : EXIT_FAILED;
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  },
});

async function readBundle(): Promise<Uint8Array> {
  try {
    const { default: path } = await import("../../../dist/selftest.bundle", { with: { type: "file" } });
    return await Bun.file(path).bytes();
  } catch (error) {
    throw new MinitailError("invalid", `this minitail carries no tests: ${errorMessage(error)}`, {
      hint: "run bun run build",
      cause: error,
    });
  }
}

/** The bundle finds them beside it, by the same names. */
async function writeNativeModules(directory: string): Promise<void> {
  for (const file of Bun.embeddedFiles as readonly (Blob & { readonly name: string })[]) {
    if (/\.(node|so)$/.test(file.name)) writeFileSync(join(directory, basename(file.name)), await file.bytes());
  }
}

/** A new folder for its owner alone, wherever one can be made: a machine may have no /tmp. */
function makeDirectory(): string {
  let problem: unknown;
  for (const parent of [tmpdir(), "/dev/shm", "/run", process.cwd()]) {
    try {
      return mkdtempSync(join(parent, "minitail-selftest-"));
    } catch (error) {
      problem = error;
    }
  }
  throw new MinitailError("state-unwritable", `no folder for the tests: ${errorMessage(problem)}`, {
    hint: "set TMPDIR to one that can be written",
  });
}

/** Nothing of the caller's environment reaches the tests; what they print goes to stderr as it comes. */
async function runTests(
  file: string,
  directory: string,
  shows: boolean,
): Promise<{ readonly status: number; readonly text: string }> {
  const child = Bun.spawn([process.execPath, "test", `--timeout=${TEST_LIMIT_MS}`, file], {
    cwd: directory,
    env: { BUN_BE_BUN: "1", HOME: directory, TMPDIR: directory, PATH: "/usr/sbin:/usr/bin:/sbin:/bin", NO_COLOR: "1" },
    // Not "ignore": there may be no /dev/null.
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
  });
  child.stdin.end();
  const [, text] = await Promise.all([forward(child.stdout, shows), forward(child.stderr, shows)]);
  return { status: await child.exited, text };
}

async function forward(stream: ReadableStream<Uint8Array>, shows: boolean): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let shown = 0;
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    const end = text.lastIndexOf("\n");
    if (shows && end > shown) {
      writeErrorLine(text.slice(shown, end));
      shown = end + 1;
    }
  }
  return text;
}
