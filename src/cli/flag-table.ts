/** The flags and positional arguments of one citty definition, in the form that the strict reader looks them up in. */

import type { ArgDef, ArgsDef } from "citty";

export interface Flag {
  /** Without dashes: `state-dir`. */
  readonly name: string;
  readonly shortNames: readonly string[];
  readonly isBoolean: boolean;
  /** What the help shows for the value; empty for a boolean. */
  readonly valueHint: string;
  /** The only values there are, where the flag is a choice. */
  readonly choices: readonly string[];
  readonly description: string;
  /** True for a boolean that is on unless it is turned off. */
  readonly isOnByDefault: boolean;
}

export interface Positional {
  readonly name: string;
  readonly isRequired: boolean;
  readonly description: string;
}

/** Flags in the order of their definition. */
export function flagsOf(definitions: ArgsDef): Flag[] {
  return Object.entries(definitions)
    .filter(([, definition]) => definition.type !== "positional")
    .map(([name, definition]) => ({
      name,
      shortNames: aliasesOf(definition),
      isBoolean: isBoolean(definition),
      valueHint: isBoolean(definition) ? "" : (definition.valueHint ?? "VALUE"),
      choices: definition.type === "enum" ? (definition.options ?? []) : [],
      description: definition.description ?? "",
      isOnByDefault: isBoolean(definition) && definition.default === true,
    }));
}

/** Positional arguments in their order. */
export function positionalsOf(definitions: ArgsDef): Positional[] {
  return Object.entries(definitions)
    .filter(([, definition]) => definition.type === "positional")
    .map(([name, definition]) => ({
      name: definition.valueHint ?? name.toUpperCase(),
      isRequired: definition.required !== false && definition.default === undefined,
      description: definition.description ?? "",
    }));
}

function isBoolean(definition: ArgDef): boolean {
  return definition.type === undefined || definition.type === "boolean";
}

function aliasesOf(definition: ArgDef): string[] {
  const alias = "alias" in definition ? definition.alias : undefined;
  if (alias === undefined) return [];
  return Array.isArray(alias) ? alias : [alias];
}
