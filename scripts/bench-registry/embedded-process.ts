/** An embedded registry of its own: `bun embedded-process.ts DATA_FILE TOKEN`. Prints its URL. */

import { DEFAULT_LIMITS } from "../../src/registry/server/limits.ts";
import { startRegistryServer } from "../../src/registry/server/start.ts";

const [dataFile, token] = process.argv.slice(2);
// All nodes of the benchmark come from one address, which in a network they do not.
const limits = { rate: { burst: 1e9, perSecond: 1e9 }, requestsPerClient: DEFAULT_LIMITS.requests };
const server = await startRegistryServer({
  listen: "127.0.0.1:0",
  dataFile: dataFile!,
  tokens: { newest: token! },
  limits,
});
console.log(server.url);
