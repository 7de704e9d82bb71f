/** What a worker runs when minitail runs from its source; in the executable the one entry does this. */

import { runWorker } from "./worker.ts";

runWorker();
