/** What every signed thing of this protocol begins with, so that no signature means anything elsewhere. */

import { utf8 } from "../base/bytes.ts";

export const SIGNED_PREFIX = utf8("minitail/1");

/**
 * What stands after the prefix, where a statement has the number of its kind: numbers of statements are
 * smaller.
 */
export const SIGNED_KIND = { record: 128, consent: 129 } as const;
