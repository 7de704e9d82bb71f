/** `bun run check`: types, lint and format, and the rules on the source. Says what each took, and fails if one does. */

import { formatStepResult, runStep, type Step } from "./test-step.ts";
import { ensurePackages } from "./tree.ts";

const BIN = "node_modules/.bin";

/** By name: the linter looks into whole file systems that tests may have left in other folders. */
const LINTED = ["src", "ffi", "test", "scripts", "package.json", "biome.json", "tsconfig.json"];

/** All are run, also after one has failed. */
export const CHECKS: readonly Omit<Step, "limitMs">[] = [
  { name: "types", argv: [process.execPath, `${BIN}/tsc`, "--project", "."], hasSummary: false },
  {
    name: "lint and format",
    argv: [process.execPath, `${BIN}/biome`, "check", "--error-on-warnings", "--max-diagnostics=50", ...LINTED],
    hasSummary: false,
  },
  { name: "rules on the source", argv: [process.execPath, "test", "./test/repository"], hasSummary: true },
];

const LIMIT_MS = 300_000;

if (import.meta.main) {
  await ensurePackages();
  let failed = 0;
  for (const check of CHECKS) {
    const result = await runStep({ ...check, limitMs: LIMIT_MS });
    console.log(formatStepResult(result));
    if (result.failed > 0) console.log(result.report);
    failed += result.failed;
  }
  process.exit(failed === 0 ? 0 : 1);
}
