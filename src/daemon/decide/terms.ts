/** What machines are admitted as, as a person says it. */

import { MinitailError } from "../../base/errors.ts";
import { type AdmissionTerms, areTerms } from "../../trust/terms.ts";

/** The terms as the chain takes them: tags sorted, each once. Throws `usage`. */
export function requireTerms(given: AdmissionTerms): AdmissionTerms {
  const terms = { ...given, tags: [...new Set(given.tags)].sort() };
  if (areTerms(terms)) return terms;
  throw new MinitailError("usage", "the chain does not take this user or these tags", {
    hint: "tags are tag: and a word of a-z, 0-9 and -, at most 32 of them; a user is a short text",
  });
}
