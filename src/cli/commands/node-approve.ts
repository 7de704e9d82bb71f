/** `minitail node approve CODE` */

import { type AskingReply, approveCall, askingMachineCall } from "../../daemon/calls/node-approve.ts";
import { LocalApiClient } from "../../daemon/local-api-client.ts";
import { confirm } from "../confirm.ts";
import { declareCommand } from "../declare.ts";
import { EXIT_DONE, EXIT_FAILED } from "../exit-status.ts";
import { writeErrorLine } from "../output.ts";
import { tellIfSlow } from "../waiting.ts";

export default declareCommand({
  name: "approve",
  description: "let in the machine whose minitail up --registry URL shows this code",
  examples: ["minitail node approve abcd-efgh-2345-6723", "minitail node approve --yes --tags tag:server CODE"],
  args: {
    code: { type: "positional", required: true, valueHint: "CODE", description: "as that machine shows it" },
    yes: { type: "boolean", alias: "y", description: "do not ask" },
    tags: { type: "string", valueHint: "TAG,..", description: "tags of the machine" },
    user: { type: "string", valueHint: "USER", description: "whose machine it is" },
    ephemeral: { type: "boolean", description: "it is removed when it is gone" },
  },
  async run(args, { globals, log, output }) {
    const client = new LocalApiClient(globals.socketPath);
    const { code } = args;
    const asking = await tellIfSlow(log, "the registry", client.call(askingMachineCall, { code }));
    if (args.yes !== true) {
      for (const line of askingLines(asking)) writeErrorLine(line);
      if (!(await confirm("Does it show this id, and may it come in?"))) {
        writeErrorLine("nothing was approved");
        return EXIT_FAILED;
      }
    }
    const approving = client.call(approveCall, {
      code,
      id: asking.id,
      tags: args.tags?.split(",") ?? [],
      user: args.user ?? "",
      ephemeral: args.ephemeral === true,
    });
    const approved = await tellIfSlow(log, "the registry to take the statement", approving);
    if (globals.json) output.json(approved);
    else output.line(`${approved.name} is in, at ${approved.addresses.join(", ")}`);
    return EXIT_DONE;
  },
});

function askingLines({ id, name, former }: AskingReply): string[] {
  const lines = [`${name} asks to come in; its id is ${id}`];
  if (!former) return lines;
  const end = { left: "left", revoked: "was removed from" }[former.how];
  return [...lines, `it was ${former.name}, and ${end} the network at ${former.at}`];
}
