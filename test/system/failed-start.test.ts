/** A start that fails early: the workers that it began are over before their descriptors are closed. */

import { expect, test } from "bun:test";
import { Lab } from "../lab/index.ts";

const PROGRAM = new URL("./failed-start-program.ts", import.meta.url).pathname;

test("a start that fails before the workers are ready leaves none behind", async () => {
  await using lab = await Lab.create("failed-start");
  const host = await lab.host("alpha");
  const directory = (await host.output(["mktemp", "-d"])).trim();
  const { before, after, error } = JSON.parse(await host.output([process.execPath, PROGRAM, directory]));
  expect(error).toContain("join key");
  expect(after).toBe(before);
  await host.output(["rm", "-r", directory]);
}, 30_000);
