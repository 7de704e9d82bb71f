/** What a user without privileges sees of the network. */

import {
  closeFd,
  createBridge,
  isSystemError,
  listAddresses,
  listLinks,
  listRoutes,
  listRules,
  openMonitor,
  openNetlink,
  readMonitor,
} from "../../src/index.ts";

function change(action: () => void): string {
  try {
    action();
    return "done";
  } catch (error) {
    if (isSystemError(error)) return error.code;
    throw error;
  }
}

using netlink = openNetlink();
const monitor = openMonitor();
listAddresses(netlink);
listRoutes(netlink);
listRules(netlink);
console.log(
  JSON.stringify({
    hasLoopback: listLinks(netlink).some(({ loopback }) => loopback),
    isMonitorQuiet: readMonitor(monitor).every(({ type }) => type !== "overrun"),
    change: change(() => createBridge(netlink, "not-allowed")),
  }),
);
closeFd(monitor);
