/** `bun run demo`, as a newcomer runs it. Needs root. */

import { expect, test } from "bun:test";
import { join } from "node:path";
import { runCommand } from "../machine/command.ts";

test("the demo joins two machines and pings both ways", async () => {
  const result = await runCommand([process.execPath, "scripts/demo.ts"], {
    workingDirectory: join(import.meta.dir, "../.."),
    timeoutMs: 120_000,
  });
  expect(result.stderr).toBe("");
  expect(result.stdout).toContain("this machine is a, 10.11.12.1");
  expect(result.stdout).toContain("this machine is b, 10.11.12.2");
  expect(result.stdout).toMatch(/64 bytes from 10\.11\.12\.2: icmp_seq=3/);
  expect(result.stdout).toMatch(/64 bytes from 10\.11\.12\.1: icmp_seq=3/);
  expect(result.stdout.match(/3 packets transmitted, 3 received/g)).toHaveLength(2);
  expect(result.stdout).toMatch(/^pong from b \(10\.11\.12\.2\) via 192\.0\.2\.2:7411 in [\d.]+ ms$/m);
  expect(result.stdout).not.toContain("mt1:A");
  expect(result.status).toBe(0);
}, 150_000);
