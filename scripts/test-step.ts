/** One step of `bun run test`: a program that is run with a limit, and what it says about how many tests passed. */

import { parseTestCounts, type TestCounts } from "../src/cli/test-counts.ts";
import { ROOT } from "./tree.ts";

export interface Step {
  readonly name: string;
  readonly argv: readonly string[];
  /** True for `bun test`, whose summary has counts; any other program is one test by its exit status. */
  readonly hasSummary: boolean;
  readonly limitMs: number;
}

export interface StepResult extends TestCounts {
  readonly name: string;
  readonly durationMs: number;
  /** All that it printed. */
  readonly report: string;
}

/** Runs the step to its end. A step that printed no summary, or ended with another status than it says, has failed. */
export async function runStep(step: Step): Promise<StepResult> {
  const startMs = performance.now();
  const child = Bun.spawn([...step.argv], {
    cwd: ROOT,
    env: { ...process.env, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: step.limitMs,
    killSignal: "SIGKILL",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  const status = await child.exited;
  const durationMs = performance.now() - startMs;
  const report = `${stdout}${stderr}${durationMs >= step.limitMs ? `\nended after ${step.limitMs} ms\n` : ""}`;
  return { name: step.name, durationMs, report, ...countsOf(step, status, report) };
}

/** The line of progress: `ok      unit: 120 passed, 0 failed in 3.1 s`. */
export function formatStepResult(result: StepResult): string {
  const seconds = (result.durationMs / 1000).toFixed(1);
  const word = result.failed > 0 ? "FAILED" : "ok    ";
  return `${word}  ${result.name}: ${result.passed} passed, ${result.failed} failed in ${seconds} s`;
}

function countsOf(step: Step, status: number, report: string): TestCounts {
  if (!step.hasSummary) return { passed: status === 0 ? 1 : 0, failed: status === 0 ? 0 : 1 };
  const counts = parseTestCounts(report);
  if (!counts) return { passed: 0, failed: 1 };
  return status !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
}
