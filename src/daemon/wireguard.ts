/** `minitail wireguard`: an interface that `wg` configures, until SIGTERM, its deletion, or the removal of its socket. */

import type { MinitailError } from "../base/errors.ts";
import { UapiServer } from "../uapi/server.ts";
import type { ProgramIo, WireguardOptions } from "./options.ts";
import { WireguardInterface } from "./wireguard-interface.ts";

/** Runs until it is told to end. Answers the exit status; throws what kept it from starting or running on. */
export async function runWireguard(options: WireguardOptions, io: ProgramIo): Promise<number> {
  const ended = Promise.withResolvers<MinitailError | undefined>();
  const wireguard = await WireguardInterface.start({
    name: options.interfaceName,
    tunFd: options.tunFd,
    dataPlane: options.dataPlane,
    offloads: options.offloads,
    log: io.log,
    onEnd: (error) => ended.resolve(error),
  });
  try {
    const uapi = await UapiServer.start({
      interfaceName: wireguard.name,
      device: wireguard,
      onRemoved: () => ended.resolve(undefined),
      log: io.log,
      ...(options.uapiFd === undefined ? {} : { listenFd: options.uapiFd }),
    });
    try {
      io.stop.addEventListener("abort", () => ended.resolve(undefined));
      if (io.stop.aborted) return 0;
      io.ready();
      const failure = await ended.promise;
      if (failure) throw failure;
      return 0;
    } finally {
      await uapi.close();
    }
  } finally {
    await wireguard.stop();
  }
}
