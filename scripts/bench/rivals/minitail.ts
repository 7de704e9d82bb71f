/** `minitail wireguard` as `bun run build` left it. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { requireCommand } from "../../../test/machine/command.ts";
import { type WireGuardProgram, wireGuardRival } from "../wireguard-rival.ts";

const EXECUTABLE = join(import.meta.dir, "../../../dist/minitail");

export const minitail = wireGuardRival("minitail", findMinitail);

export async function findMinitail(): Promise<WireGuardProgram> {
  if (!existsSync(EXECUTABLE)) throw new Error("dist/minitail is not built: run `bun run build`");
  const version = await requireCommand([EXECUTABLE, "version"]);
  return { version, command: (interfaceName) => [EXECUTABLE, "wireguard", "-f", interfaceName] };
}
