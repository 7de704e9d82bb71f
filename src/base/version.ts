/** Which minitail this is. */

import { version } from "../../package.json" with { type: "json" };

/** As package.json says: `0.1.0`. */
export const VERSION: string = version;
