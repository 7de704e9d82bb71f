/** `bun run bench:registry`, small: all that it measures comes out, and wrong use is said. */

import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const SCRIPT = join(import.meta.dir, "../../scripts/bench-registry.ts");
const LIMIT_MS = 60_000;
const NODES = 20;

function run(...flags: readonly string[]) {
  const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, SCRIPT, ...flags]);
  return { exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}

test(
  "every node of both registries learns of every change, and each is counted",
  () => {
    const folder = mkdtempSync(join(tmpdir(), "minitail-bench-registry-test-"));
    try {
      const json = join(folder, "results.json");
      const { exitCode, stdout } = run("--nodes", String(NODES), "--statements", "100", "--json", json);
      expect(exitCode).toBe(0);
      expect(stdout).toMatch(/^\| embedded: a statement +\| +\d+ \| +\d+ \| +\d+ \| +\d+ \|$/m);
      expect(stdout).toMatch(/^10[01] statements \(0\.0 MiB\) verified in \d\.\d\d s$/m);
      const results = JSON.parse(readFileSync(json, "utf8")) as {
        registries: { name: string; steps: { name: string; allMs: number; commands: number }[]; peakMiB: number }[];
      };
      expect(results.registries.map(({ name }) => name)).toEqual(["embedded", "redis-server"]);
      for (const { steps, peakMiB } of results.registries) {
        expect(steps.map(({ name }) => name)).toEqual(["all start together", "a statement", "a record", "all records"]);
        // A statement costs each node one command, a record that its message brings none; a start at least the
        // subscription, the chain, the log and the records.
        expect(steps[0]!.commands).toBeGreaterThanOrEqual(4 * NODES);
        // One that looks by itself just then counts as well.
        expect(steps[1]!.commands).toBeGreaterThanOrEqual(NODES);
        expect(steps[2]!.commands).toBeLessThan(NODES);
        expect(peakMiB).toBeGreaterThan(1);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  LIMIT_MS,
);

test("wrong use is said", () => {
  for (const flags of [["--nodes", "many"], ["--registry", "memcached"], ["--what"]]) {
    const { exitCode, stderr } = run(...flags);
    expect(exitCode).toBe(2);
    expect(stderr).toContain("usage: bun run bench:registry");
  }
});
