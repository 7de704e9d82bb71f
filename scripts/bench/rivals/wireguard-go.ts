/** The newest wireguard-go that the Go module proxy has; Debian's, and it says so, where that can't be built. */

import { errorMessage } from "../../../src/base/errors.ts";
import { buildGoProgram } from "../go-program.ts";
import { type WireGuardProgram, wireGuardRival } from "../wireguard-rival.ts";
import { findWireguardGoOfDebian } from "./wireguard-go-debian.ts";

const MODULE = "golang.zx2c4.com/wireguard";

export const wireguardGo = wireGuardRival("wireguard-go", findWireguardGo);

export async function findWireguardGo(): Promise<WireGuardProgram> {
  try {
    const { path, version } = await buildGoProgram(MODULE);
    return { version, command: (interfaceName) => [path, "-f", interfaceName] };
  } catch (error) {
    const substitute = await findWireguardGoOfDebian();
    const reason = errorMessage(error).slice(0, 200);
    return { ...substitute, version: `${substitute.version}, because the newest cannot be built here: ${reason}` };
  }
}
