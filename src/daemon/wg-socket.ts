/** The socket by which `wg show` looks at the daemon's interface. What the netmap says is not changed by it. */

import { boottimeMs } from "bun-ffi-tun";
import { MinitailError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { UapiDevice, UapiState } from "../uapi/device.ts";
import { UapiServer } from "../uapi/server.ts";
import type { Tunnel } from "./tunnel.ts";

/** Serves `tunnel` for looking at. Throws `interface-taken` where another program has the socket. */
export function serveWgSocket(interfaceName: string, tunnel: Tunnel, port: number, log: Log): Promise<UapiServer> {
  const device: UapiDevice = {
    get: (): UapiState => ({
      snapshot: tunnel.snapshot(),
      listenPort: port,
      fwmark: 0,
      unixOffsetMs: Date.now() - boottimeMs(),
      traffic: (slot) => tunnel.traffic(slot),
    }),
    findZone: () => undefined,
    set: () => {
      throw new MinitailError("not-permitted", "minitail sets the peers of this interface by itself");
    },
  };
  // Who removes the file takes away the sight of the interface, and nothing else.
  return UapiServer.start({ interfaceName, device, onRemoved: () => {}, log });
}
