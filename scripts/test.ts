/**
 * `bun run test`: everything, on a machine that may have had nothing but Node a minute ago.
 *
 * Installs packages and the programs that judge us, builds, and runs every test. A line a step with its duration, the
 * whole report of what failed, and at the end one line: `N passed, N failed`.
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { formatTestCounts } from "../src/cli/test-counts.ts";
import { build } from "./build.ts";
import { CHECKS } from "./check.ts";
import { PURE_TEST_FOLDERS } from "./selftest-bundle.ts";
import { formatStepResult, runStep, type Step, type StepResult } from "./test-step.ts";
import { installTestTools } from "./test-tools.ts";
import { EXECUTABLE, ensurePackages, ROOT } from "./tree.ts";

const MINUTE_MS = 60_000;

/** Steps at once where they do not disturb each other. */
const PARALLEL_STEPS = 2;

/** System tests that measure time or fill the machine, and run alone. */
const ALONE = ["test/system/docker.test.ts", "test/system/demo.test.ts"];

/** Waits out WireGuard's two minutes: what starts first ends soonest, and leaves the processors to what runs beside it. */
const FIRST = ["test/system/wireguard-rekey.test.ts"];

async function main(): Promise<number> {
  const startMs = performance.now();
  const results: StepResult[] = [];
  const run = async (steps: readonly Step[], atOnce: number) => {
    const waiting = [...steps];
    const lane = async () => {
      for (let step = waiting.shift(); step; step = waiting.shift()) results.push(await runAndShow(step));
    };
    await Promise.all(Array.from({ length: atOnce }, lane));
  };

  results.push(await prepare("packages", ensurePackages));
  results.push(await prepare("tools", requireTools));
  results.push(await prepare("build", build));
  if (results.some((result) => result.failed > 0 && result.name !== "tools")) return conclude(results, startMs);
  await run(
    CHECKS.map((check) => ({ ...check, limitMs: 5 * MINUTE_MS })),
    1,
  );
  await run(unitSteps(), 1);
  const system = testFiles("test/system").filter((path) => ![...FIRST, ...ALONE].includes(path));
  const selftest = { name: "selftest", argv: [EXECUTABLE, "selftest"], hasSummary: true, limitMs: 10 * MINUTE_MS };
  await run([...FIRST.map(systemStep), selftest, ...system.map(systemStep)], PARALLEL_STEPS);
  await run(ALONE.map(systemStep), 1);
  return conclude(results, startMs);
}

function unitSteps(): Step[] {
  const folders = PURE_TEST_FOLDERS.map((name) => `test/${name}`);
  const rest = ["test/vectors", "test/bench", "test/lab", "test/docker", "test/machine"];
  return [
    bunTest("unit", folders.filter(hasTests), 10 * MINUTE_MS),
    ...[...rest, "ffi/test"].filter(hasTests).map((folder) => bunTest(folder, [folder], 5 * MINUTE_MS)),
  ];
}

function systemStep(path: string): Step {
  return bunTest(path.replace(/^test\/|\.test\.ts$/g, ""), [path], 10 * MINUTE_MS);
}

function bunTest(name: string, paths: readonly string[], limitMs: number): Step {
  const argv = [process.execPath, "test", "--timeout", "120000", ...paths.map((path) => `./${path}`)];
  return { name, argv, hasSummary: true, limitMs };
}

function testFiles(folder: string): string[] {
  if (!existsSync(join(ROOT, folder))) return [];
  return [...new Bun.Glob(`${folder}/**/*.test.ts`).scanSync({ cwd: ROOT })].sort();
}

function hasTests(folder: string): boolean {
  return testFiles(folder).length > 0;
}

/** In CI a missing program is a failure; elsewhere its tests say so themselves. */
async function requireTools(): Promise<void> {
  const missing = await installTestTools();
  if (missing.length === 0) return;
  const message = `not on this machine: ${missing.join(", ")}`;
  if (process.env["CI"] === "true") throw new Error(message);
  console.log(`tools: ${message}`);
}

/** A step of our own, which counts as one test. */
async function prepare(name: string, action: () => Promise<unknown>): Promise<StepResult> {
  const startMs = performance.now();
  let report = "";
  try {
    await action();
  } catch (error) {
    report = error instanceof Error ? error.message : String(error);
  }
  const failed = report === "" ? 0 : 1;
  return show({ name, passed: 1 - failed, failed, report, durationMs: performance.now() - startMs });
}

async function runAndShow(step: Step): Promise<StepResult> {
  return show(await runStep(step));
}

function show(result: StepResult): StepResult {
  console.log(formatStepResult(result));
  if (result.failed > 0) console.log(withoutPasses(result.report));
  return result;
}

/** A report of a thousand tests of which one failed is about that one. */
function withoutPasses(report: string): string {
  return report
    .split("\n")
    .filter((line) => !line.startsWith("(pass)"))
    .join("\n");
}

function conclude(results: readonly StepResult[], startMs: number): number {
  const sum = (pick: (result: StepResult) => number) => results.reduce((total, result) => total + pick(result), 0);
  const passed = sum((result) => result.passed);
  const failed = sum((result) => result.failed);
  for (const result of results) if (result.failed > 0) console.log(`failed: ${result.name}`);
  console.log(`${Math.round((performance.now() - startMs) / 1000)} s`);
  console.log(formatTestCounts({ passed, failed }));
  return failed === 0 && passed > 0 ? 0 : 1;
}

process.exit(await main());
