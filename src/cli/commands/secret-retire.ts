/** `minitail secret retire` */

import { retireSecretCall } from "../../daemon/calls/secret-retire.ts";
import { LocalApiClient } from "../../daemon/local-api-client.ts";
import { declareCommand } from "../declare.ts";
import { EXIT_DONE } from "../exit-status.ts";
import { tellIfSlow } from "../waiting.ts";

export default declareCommand({
  name: "retire",
  description: "the secret admits nobody any more; members stay, newcomers use join keys",
  examples: ["minitail secret retire"],
  args: {},
  async run(_args, { globals, log, output }) {
    const retiring = new LocalApiClient(globals.socketPath).call(retireSecretCall);
    const retired = await tellIfSlow(log, "the registry to take the statement", retiring);
    if (globals.json) output.json(retired);
    else output.line(`the secret is retired; ${retired.signer} decides now: minitail key create, minitail lock add`);
    return EXIT_DONE;
  },
});
