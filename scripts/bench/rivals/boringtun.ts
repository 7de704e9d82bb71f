/** Cloudflare's WireGuard in Rust. */

import { buildCargoProgram } from "../cargo-program.ts";
import { wireGuardRival } from "../wireguard-rival.ts";

const VERSION = "0.7.1";

export const boringtun = wireGuardRival("boringtun", async () => {
  const path = await buildCargoProgram("boringtun-cli", VERSION, "boringtun-cli");
  const command = (interfaceName: string) => [path, "--foreground", "--disable-drop-privileges", interfaceName];
  return { version: VERSION, command };
});
