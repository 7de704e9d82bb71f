/** `minitail help [COMMAND [SUBCOMMAND]]` */

import { MinitailError } from "../../base/errors.ts";
import { subCommandsOf } from "../command-line.ts";
import { declareCommand } from "../declare.ts";
import { EXIT_DONE } from "../exit-status.ts";
import { nearestWord } from "../suggest.ts";

export default declareCommand({
  name: "help",
  description: "list the commands, or explain one",
  examples: ["minitail help up", "minitail help key create"],
  args: {
    command: { type: "positional", required: false, description: "the command to explain" },
    subcommand: { type: "positional", required: false, description: "and the word after it" },
  },
  async run(args, { output }) {
    const { findCommand, printHelp } = await import("../help.ts");
    const wanted = [args.command, args.subcommand].filter((word) => word !== undefined);
    const { command, path } = await findCommand(wanted);
    if (path.length < wanted.length) {
      const nearest = nearestWord(wanted[path.length]!, subCommandsOf(command));
      throw new MinitailError("usage", `unknown command ${wanted.join(" ")}`, {
        hint: nearest ? `did you mean ${[...path, nearest].join(" ")}?` : "see minitail help",
      });
    }
    await printHelp(path, output);
    return EXIT_DONE;
  },
});
