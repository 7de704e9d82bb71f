/** `minitail registry serve` */

import { join, resolve } from "node:path";
import { startRegistry } from "../../daemon/start.ts";
import { declareCommand } from "../declare.ts";
import { runProgram } from "../run-program.ts";
import { readSecret } from "../secret-flags.ts";

const DATA_FILE = "standalone-registry.sqlite";

export default declareCommand({
  name: "serve",
  description: "serve a registry alone; prints the URL to give to --registry",
  examples: ["minitail registry serve", "minitail registry serve --listen :7411 --token file:token.txt"],
  flagsFromEnvironment: true,
  args: {
    listen: { type: "string", valueHint: "ADDR:PORT", default: ":7411", description: "where to listen (:7411)" },
    token: { type: "string", valueHint: "TOKEN", description: "what members must give (one is made and kept)" },
    data: { type: "string", valueHint: "FILE", description: "the database (in the state directory)" },
  },
  async run(args, context) {
    const { globals, log } = context;
    const options = {
      listen: args.listen,
      token: args.token === undefined ? undefined : readSecret("token", args.token, (message) => log.warn(message)),
      dataFile: args.data === undefined ? join(globals.stateDirectory, DATA_FILE) : resolve(args.data),
    };
    const logDetail = globals.verbose ? "debug" : "normal";
    return runProgram(context, { detach: false, detachedLog: "stderr", logDetail }, (io) => startRegistry(options, io));
  },
});
