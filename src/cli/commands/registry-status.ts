/** `minitail registry status` */

import { registryStatusCall, type ServedRegistryStatus } from "../../daemon/calls/registry-status.ts";
import { LocalApiClient } from "../../daemon/local-api-client.ts";
import { declareCommand } from "../declare.ts";
import { EXIT_DONE, EXIT_FAILED } from "../exit-status.ts";
import { formatTable } from "../output.ts";
import { tellIfSlow } from "../waiting.ts";

export default declareCommand({
  name: "status",
  description: "the registry of this machine's network, and what is in it",
  examples: ["minitail registry status"],
  args: {},
  async run(_args, { globals, log, output }) {
    const status = await tellIfSlow(log, "the daemon", new LocalApiClient(globals.socketPath).call(registryStatusCall));
    if (globals.json) {
      output.json(status);
    } else {
      const rows = [
        ["url", `${status.url}${status.embedded ? ", served here" : ""}`],
        ["connected", status.connected ? "yes" : "no"],
        ["last news", status.lastSyncAt ?? "none yet"],
        ["commands", `${status.commandsSent} sent`],
        ...status.joinUrls.map((url, i) => [i === 0 ? "to ask here" : "", `minitail up --registry ${url}`]),
        ["tailnet", status.tailnetId],
        ["chain", `${status.chainLength} statements`],
        ["records", String(status.records)],
        ...(status.served ? servedRows(status.served) : []),
      ];
      for (const line of formatTable(rows)) output.line(line);
    }
    return status.connected ? EXIT_DONE : EXIT_FAILED;
  },
});

function servedRows(served: ServedRegistryStatus): string[][] {
  const { refusedByToken, refusedByRate, refusedBusy, refusedByLimit } = served;
  return [
    ["served here", `${served.requests} requests, ${served.commands} commands, ${served.subscribers} subscribers now`],
    ["data", `${served.keys} keys, ${served.dataBytes} bytes`],
    [
      "refused",
      `${refusedByToken} by token, ${refusedByRate} by rate, ${refusedBusy} busy, ${refusedByLimit} by limit`,
    ],
  ];
}
