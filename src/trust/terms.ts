/**
 * What a machine is admitted as. It is always a signer who says so: in the join key's own statement, or
 * in the join itself where the signer admits the machine.
 */

import { utf8 } from "../base/bytes.ts";
import { type ByteReader, type ByteWriter, isSortedSet } from "./codec.ts";

export const MOST_TAGS = 32;
export const LONGEST_TAG = 64;
export const LONGEST_USER_BYTES = 128;

const TAG = /^tag:[a-z][a-z0-9-]*$/;
const CONTROL_CHARACTER = /\p{C}/u;

const EPHEMERAL_FLAG = 1;
/** Bit 1 belongs to the statement around the terms (`OTHER_TERMS_FLAG`). */
const END_FLAG = 4;

/** A flag that shares the byte with those of the terms, for the statement that they stand in. */
export const OTHER_TERMS_FLAG = 2;

export interface AdmissionTerms {
  /** Whose machine it is; may be empty. */
  readonly user: string;
  /** Sorted, each once. */
  readonly tags: readonly string[];
  /** Its membership ends when it is no longer heard of. */
  readonly ephemeral: boolean;
  /** Unix time at which its membership ends, 0 for no end; a signer may set it anew. */
  readonly memberUntilMs: number;
}

export const NO_TERMS: AdmissionTerms = { user: "", tags: [], ephemeral: false, memberUntilMs: 0 };

/** True for a user without control characters and a sorted set of tags, each `tag:` and a word. */
export function areTerms(terms: AdmissionTerms): boolean {
  return (
    utf8(terms.user).length <= LONGEST_USER_BYTES &&
    !CONTROL_CHARACTER.test(terms.user) &&
    terms.tags.length <= MOST_TAGS &&
    terms.tags.every((tag) => tag.length <= LONGEST_TAG && TAG.test(tag)) &&
    isSortedSet(terms.tags) &&
    Number.isSafeInteger(terms.memberUntilMs) &&
    terms.memberUntilMs >= 0
  );
}

export function areNoTerms(terms: AdmissionTerms): boolean {
  return terms.user === "" && terms.tags.length === 0 && !terms.ephemeral && terms.memberUntilMs === 0;
}

/** Flags (1), user, tags, and the end (8) where there is one. */
export function writeTerms(writer: ByteWriter, terms: AdmissionTerms, hasOtherFlag: boolean): ByteWriter {
  const { user, tags, ephemeral, memberUntilMs } = terms;
  const flags =
    (ephemeral ? EPHEMERAL_FLAG : 0) | (memberUntilMs > 0 ? END_FLAG : 0) | (hasOtherFlag ? OTHER_TERMS_FLAG : 0);
  writer
    .u8(flags)
    .text(user)
    .list(tags, (item, tag) => item.text(tag));
  return memberUntilMs > 0 ? writer.u64(memberUntilMs) : writer;
}

/** `mayHaveOtherFlag`: the statement around the terms has one of its own. */
export function readTerms(
  reader: ByteReader,
  mayHaveOtherFlag: boolean,
): { readonly terms: AdmissionTerms; readonly hasOtherFlag: boolean } {
  const flags = reader.u8();
  const user = reader.text(LONGEST_USER_BYTES);
  const tags = reader.list(MOST_TAGS, (item) => item.text(LONGEST_TAG));
  const hasEnd = (flags & END_FLAG) !== 0;
  const memberUntilMs = hasEnd ? reader.u64() : 0;
  const terms = { user, tags, ephemeral: (flags & EPHEMERAL_FLAG) !== 0, memberUntilMs };
  const knownFlags = EPHEMERAL_FLAG | END_FLAG | (mayHaveOtherFlag ? OTHER_TERMS_FLAG : 0);
  reader.require((flags & ~knownFlags) === 0 && hasEnd === memberUntilMs > 0 && areTerms(terms));
  return { terms, hasOtherFlag: (flags & OTHER_TERMS_FLAG) !== 0 };
}
