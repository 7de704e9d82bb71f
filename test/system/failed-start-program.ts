/**
 * Starts a daemon whose join key cannot be read, and prints how many descriptors of events (the data plane wakes its
 * workers by one each) are open before the start and after it failed.
 * Argument: an empty directory.
 */

import { join } from "node:path";
import { silentLog } from "../../src/base/log.ts";
import { Daemon } from "../../src/daemon/daemon.ts";
import { isEventFd, openDescriptors } from "../machine/descriptors.ts";

const directory = process.argv[2]!;

const openEventFds = () => openDescriptors().filter(isEventFd).length;

const before = openEventFds();
const error: unknown = await Daemon.start({
  options: {
    stateDirectory: join(directory, "state"),
    socketPath: join(directory, "minitail.sock"),
    name: "alpha",
    pool: undefined,
    interfaceName: undefined,
    port: 0,
    mtuBytes: undefined,
    listen: undefined,
    registryUrl: undefined,
    token: undefined,
    secret: undefined,
    joinKey: "mt1:none",
    timeoutMs: undefined,
    dataPlane: undefined,
    offloads: undefined,
  },
  log: silentLog,
  signal: new AbortController().signal,
  onWaiting: () => {},
  onApproval: () => {},
}).catch((failure: unknown) => failure);
console.log(JSON.stringify({ before, after: openEventFds(), error: String(error) }));
process.exit(0);
