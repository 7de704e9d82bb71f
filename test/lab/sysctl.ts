/** The kernel's settings of one network namespace. */

import { writeFileSync } from "node:fs";
import { inNamespace } from "bun-ffi-tun";

/** `writeSysctl(fd, "net.ipv4.ip_forward", 1)`, in the network namespace of `namespaceFd`. */
export function writeSysctl(namespaceFd: number, name: string, value: number): void {
  inNamespace(namespaceFd, () => writeFileSync(`/proc/sys/${name.replaceAll(".", "/")}`, `${value}\n`));
}
