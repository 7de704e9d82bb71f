/** The UDP socket of a tunnel, of a process that may do little. */

import { expect, test } from "bun:test";

const PROGRAM = new URL("./udp-wire-program.ts", import.meta.url).pathname;
const NOBODY = "65534";

test("a wire that is refused a mark is closed, and a path that can't be asked for is none", async () => {
  const restrictions = ["prlimit", "--nofile=64:64", "setpriv", "--reuid", NOBODY, "--clear-groups"];
  const child = Bun.spawn([...restrictions, process.execPath, PROGRAM], { stderr: "pipe" });
  const [output, complaint] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  expect(complaint).toBe("");
  expect(JSON.parse(output)).toEqual({
    marks: ["EPERM"],
    leftOpen: 0,
    limit: "EMFILE",
    paths: ["none", "none"],
    isKnownLater: true,
  });
}, 20_000);
