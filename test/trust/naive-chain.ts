/**
 * The rules of the chain once more, without state: each question is answered by going through all that was
 * accepted so far. Slow, and written apart from `chain-rules.ts` and `chain-effects.ts`, to be compared with them.
 */

import { equalBytes } from "../../src/base/bytes.ts";
import { equalAddresses, type IpAddress } from "../../src/base/ip.ts";
import { nodeIdOf } from "../../src/trust/identity.ts";
import { joinKeyIdOf } from "../../src/trust/join-key.ts";
import { isPoolAddress } from "../../src/trust/pool.ts";
import type { Statement } from "../../src/trust/statement.ts";

type History = readonly Statement[];
type Admission = Statement & { body: Extract<Statement["body"], { kind: "join" | "admit-machine" }> };
type KeyAdmission = Statement & { body: Extract<Statement["body"], { kind: "admit-join-key" }> };

const isAdmission = (statement: Statement): statement is Admission =>
  statement.body.kind === "join" || statement.body.kind === "admit-machine";

/** The last statement by which the machine came, left or was revoked. */
function lastWordOn(history: History, machine: string): Statement | undefined {
  return history.findLast(
    (statement) =>
      (isAdmission(statement) && nodeIdOf(statement.body.machineKey) === machine) ||
      (statement.body.kind === "revoke" && statement.body.machine === machine) ||
      (statement.body.kind === "leave" && nodeIdOf(statement.author) === machine),
  );
}

export function isMember(history: History, machine: string): boolean {
  const last = lastWordOn(history, machine);
  return last !== undefined && isAdmission(last);
}

const isRevoked = (history: History, machine: string) => lastWordOn(history, machine)?.body.kind === "revoke";

function lastAdmission(history: History, machine: string): Admission | undefined {
  return history.filter(isAdmission).findLast(({ body }) => nodeIdOf(body.machineKey) === machine);
}

/** The scope that the key has as a signer; the last word on it decides. */
export function scopeOf(history: History, key: Uint8Array): "all" | "admit" | undefined {
  const last = history.findLast(({ body, author }) => {
    if (body.kind === "genesis" || body.kind === "leave") return equalBytes(author, key);
    if (body.kind === "admit-signer" || body.kind === "remove-signer") return equalBytes(body.publicKey, key);
    return body.kind === "revoke" && body.machine === nodeIdOf(key);
  });
  if (last?.body.kind === "genesis") return "all";
  return last?.body.kind === "admit-signer" ? last.body.scope : undefined;
}

function keyAdmission(history: History, id: string): KeyAdmission | undefined {
  return history.find(
    (statement): statement is KeyAdmission =>
      statement.body.kind === "admit-join-key" && joinKeyIdOf(statement.body.publicKey) === id,
  );
}

export function isCancelled(history: History, id: string): boolean {
  const admission = keyAdmission(history, id);
  if (!admission) return false;
  return history.some((statement, i) => {
    if (i <= history.indexOf(admission)) return false;
    const { body } = statement;
    if (body.kind === "cancel-join-key") return body.joinKey === id;
    const before = history.slice(0, i);
    if (body.kind === "revoke") {
      const came = lastAdmission(before, body.machine);
      if (came && scopeOf(before.slice(0, before.indexOf(came)), came.author) === undefined) {
        if (joinKeyIdOf(came.author) === id) return true;
      }
    }
    return (
      scopeOf(before, admission.author) !== undefined && scopeOf([...before, statement], admission.author) === undefined
    );
  });
}

/** By it, and not by a signer whose key it is: a join key is never a signer. */
export function usesOf(history: History, id: string): number {
  return history.filter(({ body, author }) => body.kind === "join" && joinKeyIdOf(author) === id).length;
}

/** Who holds the name, borne or reserved. */
export function holderOf(history: History, name: string): string | undefined {
  const last = history.findLast(
    ({ body }) =>
      (body.kind === "join" || body.kind === "admit-machine" || body.kind === "rename" || body.kind === "free-name") &&
      body.name === name,
  );
  if (!last || last.body.kind === "free-name") return undefined;
  return isAdmission(last) ? nodeIdOf(last.body.machineKey) : nodeIdOf(last.author);
}

export function nameOf(history: History, machine: string): string | undefined {
  const last = history.findLast(
    (statement) =>
      (isAdmission(statement) && nodeIdOf(statement.body.machineKey) === machine) ||
      (statement.body.kind === "rename" && nodeIdOf(statement.author) === machine),
  );
  return last && (last.body as { name: string }).name;
}

function isAddressHeld(history: History, address: IpAddress): boolean {
  return history.filter(isAdmission).some(({ body }) => {
    const machine = nodeIdOf(body.machineKey);
    return isMember(history, machine) && equalAddresses(lastAdmission(history, machine)!.body.address, address);
  });
}

const fullSigners = (history: History, keys: readonly Uint8Array[]) =>
  keys.filter((key) => scopeOf(history, key) === "all");

/** Whether the statement may be the next one. `keys` are all that exist, `names` all that are tried. */
export function isAllowed(
  history: History,
  statement: Statement,
  keys: readonly Uint8Array[],
  names: readonly string[],
): boolean {
  const { author, body } = statement;
  const scope = scopeOf(history, author);
  const machine = nodeIdOf(author);
  const leavesNobody = (key: Uint8Array) => fullSigners(history, keys).every((other) => equalBytes(other, key));
  switch (body.kind) {
    case "pool":
      return scope === "all" && !history.some((earlier) => earlier.body.kind === "pool");
    case "admit-join-key":
      return (
        scope !== undefined &&
        !keyAdmission(history, joinKeyIdOf(body.publicKey)) &&
        scopeOf(history, body.publicKey) === undefined &&
        !lastWordOn(history, nodeIdOf(body.publicKey))
      );
    case "cancel-join-key": {
      const admission = keyAdmission(history, body.joinKey);
      if (!admission || isCancelled(history, body.joinKey)) return false;
      return scope === "all" || (scope === "admit" && equalBytes(admission.author, author));
    }
    case "join":
    case "admit-machine": {
      const joiner = nodeIdOf(body.machineKey);
      const holder = holderOf(history, body.name);
      const pool = history.flatMap((earlier) => (earlier.body.kind === "pool" ? earlier.body.prefixes : []));
      const fits =
        !isMember(history, joiner) &&
        !keyAdmission(history, joinKeyIdOf(body.machineKey)) &&
        isPoolAddress(pool, body.address) &&
        !isAddressHeld(history, body.address) &&
        (holder === undefined || holder === joiner);
      if (scope !== undefined) return fits && (scope === "all" || !isRevoked(history, joiner));
      if (body.kind === "admit-machine") return false;
      const id = joinKeyIdOf(author);
      const admission = keyAdmission(history, id);
      const isOpen = admission && !isCancelled(history, id) && (admission.body.reusable || usesOf(history, id) === 0);
      return fits && isOpen === true && !isRevoked(history, joiner) && body.terms.user === "";
    }
    case "admit-signer": {
      const last = lastWordOn(history, nodeIdOf(body.publicKey));
      return (
        scope === "all" &&
        scopeOf(history, body.publicKey) === undefined &&
        !keyAdmission(history, joinKeyIdOf(body.publicKey)) &&
        (!last || isAdmission(last))
      );
    }
    case "remove-signer":
      return scope === "all" && scopeOf(history, body.publicKey) !== undefined && !leavesNobody(body.publicKey);
    case "revoke": {
      const known = lastAdmission(history, body.machine);
      if (scope !== "all" || !known || isRevoked(history, body.machine)) return false;
      return !isMember(history, body.machine) || !leavesNobody(known.body.machineKey);
    }
    case "set-expiry":
      return scope === "all" && isMember(history, body.machine);
    case "free-name": {
      const holder = holderOf(history, body.name);
      return (
        scope === "all" && holder !== undefined && !(isMember(history, holder) && nameOf(history, holder) === body.name)
      );
    }
    case "rename": {
      const holder = holderOf(history, body.name);
      const reserved = names.filter((name) => holderOf(history, name) === machine).length;
      if (!isMember(history, machine) || nameOf(history, machine) === body.name) return false;
      return holder === undefined ? reserved < 8 : holder === machine;
    }
    case "leave":
      return isMember(history, machine);
    default:
      throw new Error(`the naive chain does not judge ${body.kind}`);
  }
}
