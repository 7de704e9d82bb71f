/** What a request of the configuration protocol is answered with, from the device. */

import { errorMessage, isMinitailError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { UapiDevice } from "./device.ts";
import { formatErrno, UapiErrno } from "./errno.ts";
import { formatGet } from "./format-get.ts";
import { parseSet } from "./parse-set.ts";

/**
 * The answer to a request of one or more lines, given without the empty line that ends it.
 * `undefined` where it is none of the protocol's operations: the connection is then closed.
 */
export async function answerRequest(request: string, device: UapiDevice, log: Log): Promise<string | undefined> {
  const lineEnd = request.indexOf("\n");
  const operation = lineEnd < 0 ? request : request.slice(0, lineEnd);
  const lines = lineEnd < 0 ? "" : request.slice(lineEnd + 1);
  try {
    switch (operation) {
      case "get=1":
        return lines === ""
          ? formatGet(await device.get()) + formatErrno(UapiErrno.none)
          : formatErrno(UapiErrno.invalid);
      case "set=1":
        return formatErrno(await applySet(lines, device));
      default:
        return undefined;
    }
  } catch (error) {
    log.warn(errorMessage(error));
    return formatErrno(errnoOf(error));
  }
}

function errnoOf(error: unknown): UapiErrno {
  if (isMinitailError(error, "port-taken")) return UapiErrno.portInUse;
  if (isMinitailError(error, "not-permitted")) return UapiErrno.notPermitted;
  return isMinitailError(error, "too-many") ? UapiErrno.noSpace : UapiErrno.io;
}

async function applySet(lines: string, device: UapiDevice): Promise<UapiErrno> {
  const change = parseSet(lines, (interfaceName) => device.findZone(interfaceName));
  if ("errno" in change) return change.errno;
  await device.set(change);
  return UapiErrno.none;
}
