/** `minitail wireguard` as `bun run build` left it. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { requireCommand } from "../../../test/machine/command.ts";
import type { Rival } from "../rival.ts";
import { startWireGuardTunnel } from "../wireguard-tunnel.ts";

const EXECUTABLE = join(import.meta.dir, "../../../dist/minitail");

export const minitail: Rival = {
  name: "minitail",
  async prepare() {
    if (!existsSync(EXECUTABLE)) throw new Error("dist/minitail is not built: run `bun run build`");
    const version = await requireCommand([EXECUTABLE, "version"]);
    const command = (interfaceName: string) => [EXECUTABLE, "wireguard", "-f", interfaceName];
    return { version, startTunnel: (hosts) => startWireGuardTunnel(hosts, { command }) };
  },
};
