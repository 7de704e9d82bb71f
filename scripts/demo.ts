/**
 * `bun run demo`: builds the executable, makes two hosts in network namespaces, joins them as two people would, and
 * shows what `ping` says both ways. Needs root; leaves nothing behind.
 */

import { ensurePrograms } from "../test/machine/debian.ts";
import { build } from "./build.ts";
import { errorText } from "./tree.ts";

const PROGRAMS = { ip: "iproute2", ping: "iputils-ping", nft: "nftables" };

try {
  const minitail = await build();
  await ensurePrograms(PROGRAMS);
  // The laboratory needs packages that the build may just have installed.
  const { demonstrate } = await import("./demo/two-machines.ts");
  await demonstrate(minitail);
  console.log("\ndemo: two machines, one mesh, pings both ways");
} catch (error) {
  console.error(`demo: ${errorText(error)}`);
  process.exitCode = 1;
}
