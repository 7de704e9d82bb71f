/** The wireguard-go that Debian packages: years older than the newest, without its segmentation offloads. */

import { requireCommand } from "../../../test/machine/command.ts";
import { ensurePrograms } from "../../../test/machine/debian.ts";
import type { Rival } from "../rival.ts";
import { startWireGuardTunnel } from "../wireguard-tunnel.ts";

export const wireguardGoOfDebian: Rival = {
  name: "wireguard-go-debian",
  async prepare() {
    await ensurePrograms({ "wireguard-go": "wireguard-go" });
    const version = await requireCommand([
      "dpkg-query",
      "--show",
      "--showformat",
      "Debian $" + "{Version}",
      "wireguard-go",
    ]);
    const command = (interfaceName: string) => ["wireguard-go", "-f", interfaceName];
    return { version, startTunnel: (hosts) => startWireGuardTunnel(hosts, { command }) };
  },
};
