/** Tries, started without CAP_NET_ADMIN, what needs it, and prints the errors' names. */

import {
  createUdpSocket,
  hasCapability,
  isSystemError,
  openTun,
  SO_MARK,
  SO_RCVBUFFORCE,
  SOL_SOCKET,
  setSocketOption,
} from "../../src/index.ts";

function codeOf(action: () => void): string {
  try {
    action();
  } catch (error) {
    return isSystemError(error) ? error.code : String(error);
  }
  return "none";
}

const socket = createUdpSocket({ family: 4 });
console.log(
  JSON.stringify({
    capable: hasCapability("NET_ADMIN"),
    tun: codeOf(() => openTun({ name: "forbidden" })),
    mark: codeOf(() => setSocketOption(socket, SOL_SOCKET, SO_MARK, 1)),
    force: codeOf(() => setSocketOption(socket, SOL_SOCKET, SO_RCVBUFFORCE, 1 << 20)),
  }),
);
