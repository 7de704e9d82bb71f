/** `minitail lock`: who may decide who belongs, and what was decided. */

import type { ApiCall } from "./call.ts";
import { fieldsOf, readFlag, readNothing, readText } from "./fields.ts";

/** `machine`: a member. `shared-secret`: whoever knows it. `key`: a key that no member has. */
export type SignerKind = "machine" | "shared-secret" | "key";

export interface ListedSigner {
  readonly kind: SignerKind;
  /** Of the member, else null. */
  readonly name: string | null;
  readonly id: string | null;
  /** In hexadecimal. */
  readonly publicKey: string;
  readonly scope: "all" | "admit";
  /** The number of the statement that made it one. */
  readonly admittedAtNumber: number;
  /** Whether this machine can sign as it. */
  readonly self: boolean;
}

export interface ListedHead {
  readonly number: number;
  /** In hexadecimal. */
  readonly hash: string;
}

export interface LockStatus {
  readonly tailnetId: string;
  readonly head: ListedHead;
  readonly signers: readonly ListedSigner[];
  /** Other branches of the chain, which verify as well and which no signer has settled yet. */
  readonly forks: readonly { readonly forkNumber: number; readonly head: ListedHead }[];
}

/** A statement in words. The time is its author's claim. */
export interface LoggedStatement {
  readonly number: number;
  readonly hash: string;
  readonly at: string | null;
  readonly kind: string;
  /** The member, `a join key ID`, or a key. */
  readonly by: string;
  readonly what: string;
}

export const lockStatusCall: ApiCall<undefined, LockStatus> = {
  method: "GET",
  path: "/v1/lock",
  readRequest: readNothing,
};

export const lockLogCall: ApiCall<undefined, { readonly statements: readonly LoggedStatement[] }> = {
  method: "GET",
  path: "/v1/lock/log",
  readRequest: readNothing,
};

export interface AddedSigner {
  readonly name: string;
  /** False where it was one before. */
  readonly isNew: boolean;
}

export interface RemovedSigner {
  readonly name: string;
  /** The names of the machines that went with it. */
  readonly removedMachines: readonly string[];
}

export const lockAddCall: ApiCall<{ readonly name: string; readonly onlyAdmits: boolean }, AddedSigner> = {
  method: "POST",
  path: "/v1/lock/add",
  readRequest: (value) => ({ name: readText(value, "name"), onlyAdmits: readFlag(value, "onlyAdmits") }),
};

export const lockRemoveCall: ApiCall<{ readonly name: string; readonly withMachines: boolean }, RemovedSigner> = {
  method: "POST",
  path: "/v1/lock/remove",
  readRequest: (value) => ({ name: readText(value, "name"), withMachines: readFlag(value, "withMachines") }),
};

export interface SettledFork {
  /** Of the branch that holds. */
  readonly head: ListedHead;
  /** How many branches were given up. */
  readonly forsaken: number;
}

export const lockSettleCall: ApiCall<{ readonly hash?: string }, SettledFork> = {
  method: "POST",
  path: "/v1/lock/settle",
  readRequest: (value) => (fieldsOf(value)["hash"] === undefined ? {} : { hash: readText(value, "hash") }),
};
