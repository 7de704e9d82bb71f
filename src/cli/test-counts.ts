/** How many tests passed and failed: read from what `bun test` says at its end, and said in our own words. */

export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
}

/**
 * The counts in the summary of `bun test`, `undefined` where it did not come to its end. A file that could not be
 * loaded counts as one that failed; a skipped test counts as neither.
 */
export function parseTestCounts(report: string): TestCounts | undefined {
  const count = (word: string) => {
    const matches = [...report.matchAll(new RegExp(`^\\s*(\\d+) ${word}$`, "gm"))];
    return matches.length > 0 ? Number(matches.at(-1)![1]) : undefined;
  };
  const passed = count("pass");
  const failed = count("fail");
  if (passed === undefined && failed === undefined) return undefined;
  const errors = count("errors?") ?? 0;
  return { passed: passed ?? 0, failed: (failed ?? 0) + errors };
}

/** `12 passed, 0 failed` */
export function formatTestCounts(counts: TestCounts): string {
  return `${counts.passed} passed, ${counts.failed} failed`;
}
