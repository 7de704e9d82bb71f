/**
 * Opens a TUN and starts `minitail wireguard` on its descriptor, as a network manager does that makes its devices itself.
 * Arguments: the executable and the interface's name; the exit status is minitail's.
 */

import { openTun } from "bun-ffi-tun";

const [minitail, interfaceName] = process.argv.slice(2) as [string, string];

const INHERITED_FD = 3;

const tun = openTun({ name: interfaceName });
const child = Bun.spawn([minitail, "wireguard", interfaceName], {
  env: { ...process.env, WG_TUN_FD: String(INHERITED_FD) },
  stdio: ["ignore", "inherit", "inherit", tun.fd],
});
process.exit(await child.exited);
