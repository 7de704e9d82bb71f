/** Mullvad's WireGuard in Rust, which began as boringtun. */

import { buildCargoProgram } from "../cargo-program.ts";
import { wireGuardRival } from "../wireguard-rival.ts";

const VERSION = "0.10.2";

export const gotatun = wireGuardRival("gotatun", async () => {
  const path = await buildCargoProgram("gotatun-cli", VERSION, "gotatun");
  const command = (interfaceName: string) => [path, "--foreground", "--disable-drop-privileges", interfaceName];
  return { version: VERSION, command };
});
