/** A registry server of its own, to be killed: `bun registry-server-child.ts DATA_FILE PORT TOKEN SEED_HEX`. Prints its URL. */

import { startRegistryServer } from "../../src/registry/server/start.ts";
import { createTlsIdentity } from "../../src/registry/tls-identity.ts";

const [dataFile, port, token, seedHex] = process.argv.slice(2);
const server = await startRegistryServer({
  listen: `127.0.0.1:${port}`,
  dataFile: dataFile!,
  tokens: { newest: token! },
  tls: createTlsIdentity(Uint8Array.fromHex(seedHex!)),
});
console.log(server.url);
