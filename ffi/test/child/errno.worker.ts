/** Posts the errno of a failed open. */

import { cString, lastErrno, libc } from "../../src/index.ts";

libc.open(cString("/no/such/file"), 0, 0);
postMessage(lastErrno());
