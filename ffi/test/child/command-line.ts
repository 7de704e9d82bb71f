/** Overwrites its command line with its second argument, and prints what was seen of it before and after. */

import { readFileSync } from "node:fs";
import { overwriteArgumentArea } from "../../src/index.ts";

const title = process.argv.at(-1) as string;
const before = readFileSync("/proc/self/cmdline", "latin1");
const overwritten = overwriteArgumentArea(title);
const after = readFileSync("/proc/self/cmdline", "latin1");
console.log(JSON.stringify({ before, after, argv: process.argv, overwritten }));
