/** Looks for secrets in what a registry holds, in the ways in which bytes are written down. */

import { formatBase32 } from "../../src/base/base32.ts";
import { concatBytes, formatHex, utf8 } from "../../src/base/bytes.ts";

/** What must not be found, by what it is. Texts count as their UTF-8 form. */
export type Secrets = ReadonlyMap<string, Uint8Array | string>;

/** Shorter forms would be found by chance. */
const FEWEST_BITS = 40;
const PART_LENGTH_BYTES = 8;

const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");

/** The forms in which these bytes may stand in a text, whatever stands before and after them. */
export function formsOf(bytes: Uint8Array): string[] {
  const forms = new Set<string>();
  const add = (form: string, bitsPerCharacter: number) => {
    if (form.length * bitsPerCharacter >= FEWEST_BITS) forms.add(form);
  };
  add(latin1(bytes), 8);
  add(latin1(bytes.toReversed()), 8);
  add(Buffer.from(latin1(bytes), "utf16le").toString("latin1"), 4);
  const hex = formatHex(bytes);
  for (const text of [hex, hex.toUpperCase(), hex.match(/../g)!.join(":")]) add(text, 4);
  add([...bytes].join(","), 2);
  for (let shift = 0; shift < 3; shift++) {
    const text = whole(Buffer.from(shifted(bytes, shift)).toString("base64url"), bytes.length, shift, 6);
    add(text, 6);
    add(text.replaceAll("-", "+").replaceAll("_", "/"), 6);
  }
  for (let shift = 0; shift < 5; shift++) {
    const text = whole(formatBase32(shifted(bytes, shift)), bytes.length, shift, 5);
    add(text, 5);
    add(text.toUpperCase(), 5);
  }
  return [...forms];
}

function shifted(bytes: Uint8Array, shift: number): Uint8Array {
  return concatBytes(new Uint8Array(shift), bytes);
}

/** The characters that follow from these bytes alone. */
function whole(text: string, lengthBytes: number, shift: number, bitsPerCharacter: number): string {
  const first = Math.ceil((8 * shift) / bitsPerCharacter);
  const end = Math.floor((8 * (shift + lengthBytes)) / bitsPerCharacter);
  return text.slice(first, end);
}

/**
 * What of the secrets is in the dump, as it is or within what is written in base64 or hexadecimal. Of longer bytes a
 * part is enough.
 */
export function findLeaks(dump: Uint8Array, secrets: Secrets): string[] {
  const layers = layersOf(dump);
  const parts = partsIn(layers, secrets);
  return [...secrets].flatMap(([what, secret]) => {
    const forms = formsOf(typeof secret === "string" ? utf8(secret) : secret);
    if (forms.length === 0) throw new RangeError(`${what} is too short to look for`);
    const isThere = parts.has(what) || forms.some((form) => layers.some((layer) => layer.includes(form)));
    return isThere ? [what] : [];
  });
}

/** The dump, and what its runs of base64 and of hexadecimal decode to from each of the places where a group may begin. */
function layersOf(dump: Uint8Array): string[] {
  const text = latin1(dump);
  const decode = (runs: readonly string[], starts: readonly number[], encoding: "base64url" | "hex") =>
    starts.map((start) => runs.map((run) => Buffer.from(run.slice(start), encoding).toString("latin1")).join("\n"));
  const base64 = decode(text.match(/[A-Za-z0-9_+/-]{16,}/g) ?? [], [0, 1, 2, 3], "base64url");
  const hex = decode(text.match(/[A-Fa-f0-9]{16,}/g) ?? [], [0, 1], "hex");
  return [text, ...base64, ...hex];
}

/** The secrets of which some bytes in a row are in one of the layers. */
function partsIn(layers: readonly string[], secrets: Secrets): Set<string> {
  const owners = new Map<string, string>();
  for (const [what, secret] of secrets) {
    if (typeof secret === "string") continue;
    for (let i = 0; i + PART_LENGTH_BYTES <= secret.length; i++) {
      owners.set(latin1(secret.subarray(i, i + PART_LENGTH_BYTES)), what);
    }
  }
  const found = new Set<string>();
  for (const layer of layers) {
    for (let i = 0; i + PART_LENGTH_BYTES <= layer.length; i++) {
      const what = owners.get(layer.slice(i, i + PART_LENGTH_BYTES));
      if (what !== undefined) found.add(what);
    }
  }
  return found;
}
