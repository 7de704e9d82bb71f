/** What a worker of the data plane runs. */

import { runWorker } from "./worker.ts";

runWorker();
