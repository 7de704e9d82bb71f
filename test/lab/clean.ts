/**
 * Removes what laboratories left whose process was killed: processes, namespaces, mounts, folders. Laboratories of
 * running processes are not touched. `bun test/lab/clean.ts` does it by hand; `Lab.create` once in each process.
 */

import { abandonedLabs } from "./registry.ts";
import { removeLab } from "./remove.ts";

/** Answers the folders of the laboratories that it removed. Several processes may clean at the same time. */
export async function cleanLabs(): Promise<string[]> {
  const folders = abandonedLabs();
  await Promise.all(folders.map(removeLab));
  return folders;
}

if (import.meta.main) {
  for (const folder of await cleanLabs()) console.log(`removed ${folder}`);
}
