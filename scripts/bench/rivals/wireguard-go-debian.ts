/** The wireguard-go that Debian packages: years older than the newest, without its segmentation offloads. */

import { requireCommand } from "../../../test/machine/command.ts";
import { ensurePrograms } from "../../../test/machine/debian.ts";
import { type WireGuardProgram, wireGuardRival } from "../wireguard-rival.ts";

const PACKAGE = "wireguard-go";

export const wireguardGoOfDebian = wireGuardRival("wireguard-go-debian", findWireguardGoOfDebian);

export async function findWireguardGoOfDebian(): Promise<WireGuardProgram> {
  await ensurePrograms({ "wireguard-go": PACKAGE });
  const format = "Debian $" + "{Version}";
  const version = await requireCommand(["dpkg-query", "--show", "--showformat", format, PACKAGE]);
  return { version, command: (interfaceName) => ["wireguard-go", "-f", interfaceName] };
}
