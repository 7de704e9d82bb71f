/** The newest wireguard-go that the Go module proxy has; Debian's, and it says so, where that can't be built. */

import { errorMessage } from "../../../src/base/errors.ts";
import { buildGoProgram } from "../go-program.ts";
import type { Rival } from "../rival.ts";
import { startWireGuardTunnel } from "../wireguard-tunnel.ts";
import { wireguardGoOfDebian } from "./wireguard-go-debian.ts";

const MODULE = "golang.zx2c4.com/wireguard";

export const wireguardGo: Rival = {
  name: "wireguard-go",
  async prepare() {
    try {
      const { path, version } = await buildGoProgram(MODULE);
      const command = (interfaceName: string) => [path, "-f", interfaceName];
      return { version, startTunnel: (hosts) => startWireGuardTunnel(hosts, { command }) };
    } catch (error) {
      const substitute = await wireguardGoOfDebian.prepare();
      const reason = errorMessage(error).slice(0, 200);
      return { ...substitute, version: `${substitute.version}, because the newest cannot be built here: ${reason}` };
    }
  },
};
