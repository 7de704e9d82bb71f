/** The file of a configuration socket: where it lies, whether somebody serves it, and whether it is still ours. */

import { chmodSync, lstatSync, mkdirSync, type Stats, unlinkSync } from "node:fs";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import { errnoName, MinitailError, systemReason } from "../base/errors.ts";

/** Where `wg` looks for the sockets of userspace implementations. */
export const UAPI_SOCKET_FOLDER = "/var/run/wireguard";
const FOLDER_MODE = 0o700;
const CONNECT_TIMEOUT_MS = 2_000;

export function uapiSocketPath(interfaceName: string, folder = UAPI_SOCKET_FOLDER): string {
  return join(folder, `${interfaceName}.sock`);
}

/**
 * Makes the folder and removes a socket that a killed process left.
 *
 * Throws "interface-taken" where a process answers on the socket, or the file is none; "not-permitted"
 * where the folder can't be made.
 */
export async function prepareSocketPath(path: string): Promise<void> {
  const folder = dirname(path);
  try {
    if (mkdirSync(folder, { recursive: true, mode: FOLDER_MODE }) !== undefined) chmodSync(folder, FOLDER_MODE);
    const found = statIfThere(path);
    if (!found) return;
    if (!found.isSocket()) {
      throw new MinitailError("interface-taken", `${path} is no socket`, { hint: "remove it, or move it away" });
    }
    if (await isServed(path)) {
      throw new MinitailError("interface-taken", `${path} is in use`, {
        hint: "another WireGuard program runs this interface",
      });
    }
    unlinkSync(path);
  } catch (error) {
    if (error instanceof MinitailError) throw error;
    const isForbidden = ["EPERM", "EACCES"].includes(errnoName(error) ?? "");
    throw new MinitailError("not-permitted", `can't make ${path}: ${systemReason(error)}`, {
      hint: isForbidden ? "run it as root" : `${folder} must be a folder that can be written to`,
      cause: error,
    });
  }
}

/** `undefined` where there is no such file. */
export function statIfThere(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

export function isSameFile(a: Stats, b: Stats | undefined): boolean {
  return a.ino === b?.ino && a.dev === b.dev;
}

/** Whether a process listens: a socket that nobody has open refuses connections. */
function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const finish = (served: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(served);
    };
    // A listener with a full backlog neither takes nor refuses.
    const timer = setTimeout(() => finish(true), CONNECT_TIMEOUT_MS);
    socket.on("connect", () => finish(true));
    socket.on("error", (error: NodeJS.ErrnoException) =>
      finish(!(error.code === "ECONNREFUSED" || error.code === "ENOENT")),
    );
  });
}
