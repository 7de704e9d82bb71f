/** `minitail lock log` */

import { type LoggedStatement, lockLogCall } from "../../daemon/calls/lock.ts";
import { LocalApiClient } from "../../daemon/local-api-client.ts";
import { declareCommand } from "../declare.ts";
import { EXIT_DONE } from "../exit-status.ts";
import { formatTable } from "../output.ts";
import { tellIfSlow } from "../waiting.ts";

export default declareCommand({
  name: "log",
  description: "the statements of the signed chain, the oldest first",
  examples: ["minitail lock log", "minitail lock log --last 20"],
  args: { last: { type: "string", valueHint: "COUNT", description: "only the last so many" } },
  async run(args, { globals, log, output }) {
    const { statements } = await tellIfSlow(
      log,
      "the daemon",
      new LocalApiClient(globals.socketPath).call(lockLogCall),
    );
    const shown = args.last === undefined ? statements : statements.slice(-Number(args.last));
    if (globals.json) output.json({ statements: shown });
    else for (const line of formatTable(shown.map(row))) output.line(line);
    return EXIT_DONE;
  },
});

function row({ number, at, by, what }: LoggedStatement): string[] {
  return [String(number), at?.slice(0, 19).replace("T", " ") ?? "", by, what];
}
