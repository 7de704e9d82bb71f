/** `minitail metrics` */

import { metricsCall } from "../../daemon/calls/metrics.ts";
import { LocalApiClient } from "../../daemon/local-api-client.ts";
import { declareCommand } from "../declare.ts";
import { EXIT_DONE } from "../exit-status.ts";
import { formatMetrics } from "../metrics-text.ts";
import { tellIfSlow } from "../waiting.ts";

export default declareCommand({
  name: "metrics",
  description: "what this machine has done, in the text that Prometheus reads",
  examples: ["minitail metrics"],
  args: {},
  async run(_args, { globals, log, output }) {
    const { metrics } = await tellIfSlow(log, "the daemon", new LocalApiClient(globals.socketPath).call(metricsCall));
    if (globals.json) output.json({ metrics });
    else for (const line of formatMetrics(metrics)) output.line(line);
    return EXIT_DONE;
  },
});
