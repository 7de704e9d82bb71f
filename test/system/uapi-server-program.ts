/** Serves a fake device on the socket of the interface named on the command line, until its file is removed. */

import { UapiServer } from "../../src/uapi/server.ts";
import { FakeDevice } from "../uapi/fake-device.ts";

const interfaceName = process.argv[2]!;
const server = await UapiServer.start({
  interfaceName,
  device: new FakeDevice(),
  onRemoved: async () => {
    await server.close();
    console.log("removed");
    process.exit(0);
  },
});
console.log("ready");
