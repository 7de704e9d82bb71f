/** Flags whose values are secrets: where they may come from, and how they leave the process list. */

import { readFileSync, statSync } from "node:fs";
import { MinitailError, systemReason } from "../base/errors.ts";

const SECRET_FLAGS = ["secret", "join", "token"];

const FILE_PREFIX = "file:";
const JOIN_KEY_PREFIX = "mt1:";
/** What follows this word is the code of a machine that asks to be let in. */
const APPROVING_WORD = "approve";
const APPROVAL_CODE = /^[a-z0-9]{4}(-?[a-z0-9]{4}){3}$/i;
/** Short: it takes the place of a secret that may be. */
const HIDDEN = "***";

/** Any of these permission bits lets others than the owner read. */
const READABLE_BY_OTHERS = 0o044;

/** True for the name, without dashes, of a flag that takes a secret. */
export function isSecretFlag(name: string): boolean {
  return SECRET_FLAGS.includes(name);
}

/**
 * The arguments with every secret replaced, to be shown in their place; `undefined` where there is none. It errs on
 * the side of hiding: it runs before the line is read, on lines that may turn out to be wrong.
 */
export function hideSecrets(args: readonly string[]): string[] | undefined {
  const approves = args.includes(APPROVING_WORD);
  let previous = "";
  const shown = args.map((argument) => {
    const flagValue = /^(--?[^=]+=)(.*)$/s.exec(argument);
    const flag = flagValue ? flagValue[1]!.slice(0, -1) : previous;
    const value = flagValue ? flagValue[2]! : argument;
    previous = argument;
    const namesSecret = SECRET_FLAGS.some((name) => flag === `--${name}`);
    const isSecret = namesSecret && !value.startsWith(FILE_PREFIX) && (flagValue !== null || !value.startsWith("-"));
    const isCode = approves && APPROVAL_CODE.test(value);
    if (!isSecret && !isCode && !value.includes(JOIN_KEY_PREFIX) && !hasUserInfo(value)) return argument;
    return `${flagValue?.[1] ?? ""}${HIDDEN}`;
  });
  return shown.some((argument, i) => argument !== args[i]) ? shown : undefined;
}

/** The password of `redis://user:password@host`. */
function hasUserInfo(text: string): boolean {
  return /:\/\/[^/]*@/.test(text);
}

/**
 * The secret that a flag's value stands for: the text itself, or for `file:PATH` the file's contents without the
 * line end. Throws where the file cannot be read or is empty.
 *
 * @param warn told where others than its owner may read the file
 */
export function readSecret(flagName: string, value: string, warn: (message: string) => void): string {
  if (!value.startsWith(FILE_PREFIX)) return value;
  const path = value.slice(FILE_PREFIX.length);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
    if ((statSync(path).mode & READABLE_BY_OTHERS) !== 0) {
      warn(`others can read ${path}; chmod 600 ${path}`);
    }
  } catch (error) {
    throw new MinitailError("usage", `cannot read ${path} for --${flagName}: ${systemReason(error)}`, {
      hint: `write --${flagName}=file:PATH with the path of a file that holds it`,
      cause: error,
    });
  }
  const secret = text.trim();
  if (secret === "") throw new MinitailError("usage", `the file of --${flagName} is empty: ${path}`);
  return secret;
}
