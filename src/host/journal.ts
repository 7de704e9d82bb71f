/**
 * What minitail has changed on the machine and must take back: written down before the change is made,
 * crossed out after it is undone. What a killed daemon left is in its journal, and the next start, or
 * `down --force`, undoes it.
 *
 * An entry says how to undo, is harmless to undo twice, and to undo before it was made.
 */

import { rmSync } from "node:fs";
import { readFileIfThere, writeFileAtomically } from "./atomic-file.ts";
import { deleteTunInterface } from "./interface.ts";

export type JournalEntry =
  /** A TUN interface of ours; deleting it takes its addresses and routes along. */
  | { readonly kind: "interface"; readonly name: string }
  /** A socket file. */
  | { readonly kind: "file"; readonly path: string };

const FORMAT_VERSION = 1;

export class Journal {
  readonly #path: string;
  #entries: JournalEntry[];

  /** Opens the journal in the file at `path`; one that is not there, or cut short, is empty. */
  constructor(path: string) {
    this.#path = path;
    this.#entries = readEntries(path);
  }

  get entries(): readonly JournalEntry[] {
    return this.#entries;
  }

  /**
   * Writes `entry` down, then makes the change; one that fails has changed nothing, and is crossed out: what has
   * that name then is another's. Throws `state-unwritable` before anything is changed.
   */
  async record<T>(entry: JournalEntry, change: () => T | Promise<T>): Promise<T> {
    if (this.#entries.some((known) => sameEntry(known, entry))) return await change();
    this.#keep([...this.#entries, entry]);
    try {
      return await change();
    } catch (error) {
      this.#keep(this.#entries.filter((known) => known !== entry));
      throw error;
    }
  }

  /** Undoes all entries, the newest first. What can't be undone stays in the journal and is returned. */
  undoAll(): readonly { entry: JournalEntry; error: unknown }[] {
    const failures: { entry: JournalEntry; error: unknown }[] = [];
    for (const entry of this.#entries.toReversed()) {
      try {
        undo(entry);
      } catch (error) {
        failures.push({ entry, error });
      }
    }
    this.#keep(failures.map((failure) => failure.entry).reverse());
    return failures;
  }

  #keep(entries: JournalEntry[]): void {
    if (entries.length === 0) rmSync(this.#path, { force: true });
    else writeFileAtomically(this.#path, JSON.stringify({ version: FORMAT_VERSION, entries }));
    this.#entries = entries;
  }
}

function undo(entry: JournalEntry): void {
  switch (entry.kind) {
    case "interface":
      deleteTunInterface(entry.name);
      break;
    case "file":
      rmSync(entry.path, { force: true });
      break;
  }
}

function sameEntry(a: JournalEntry, b: JournalEntry): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function readEntries(path: string): JournalEntry[] {
  const bytes = readFileIfThere(path);
  if (!bytes) return [];
  try {
    const journal = JSON.parse(new TextDecoder().decode(bytes)) as { version?: unknown; entries?: unknown };
    return journal.version === FORMAT_VERSION && Array.isArray(journal.entries) ? journal.entries.filter(isEntry) : [];
  } catch {
    // Writes are atomic, so this file is not ours to understand; nothing in it can be undone.
    return [];
  }
}

function isEntry(value: unknown): value is JournalEntry {
  if (typeof value !== "object" || value === null || !("kind" in value)) return false;
  if (value.kind === "interface") return "name" in value && typeof value.name === "string";
  return value.kind === "file" && "path" in value && typeof value.path === "string";
}
