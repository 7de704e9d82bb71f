/** A process with a laboratory, to be killed by lab.test.ts: two hosts, and a program inside that left its parent. */

import { errorMessage } from "../../src/base/errors.ts";
import { Lab } from "../lab/index.ts";

try {
  const lab = await Lab.create("orphan");
  const lan = lab.switch("lan");
  const a = await lab.host("a");
  const router = await lab.router("r", { kind: "easy" });
  a.connect(lan, { address: "192.0.2.1/24" });
  router.connect(lan, { address: "192.0.2.2/24" });
  const daemonPid = Number(await a.output(["sh", "-c", "setsid sleep 600 > /dev/null 2>&1 & echo $!"]));
  console.log(JSON.stringify({ daemonPid }));
  // Until it is killed, or who started it is gone.
  await Bun.stdin.text();
  await lab[Symbol.asyncDispose]();
} catch (error) {
  console.error(errorMessage(error));
  process.exit(1);
}
