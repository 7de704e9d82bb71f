/** `minitail version` */

import { VERSION } from "../../base/version.ts";
import { declareCommand } from "../declare.ts";
import { EXIT_DONE } from "../exit-status.ts";

export default declareCommand({
  name: "version",
  description: "print the version",
  examples: ["minitail version"],
  args: {},
  async run(_args, { globals, output }) {
    if (globals.json) output.json({ version: VERSION, bunVersion: Bun.version, architecture: process.arch });
    else output.line(`minitail ${VERSION}`);
    return EXIT_DONE;
  },
});
