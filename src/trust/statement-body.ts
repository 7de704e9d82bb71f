/**
 * What a statement can say, kind by kind. Who may say it, and when it is valid, is in `chain-rules.ts`;
 * what follows from it in `chain-effects.ts`; how it is written in `statement-codec.ts`.
 *
 * Machines and join keys are named by their ids, signers by their public keys.
 */

import type { IpAddress, IpPrefix } from "../base/ip.ts";
import type { NodeId } from "./identity.ts";
import type { JoinKeyId } from "./join-key.ts";
import type { RegistryPlace } from "./registry-place.ts";
import type { AdmissionTerms } from "./terms.ts";

export type StatementBody =
  | GenesisBody
  | PoolBody
  | AdmitJoinKeyBody
  | JoinBody
  | AdmitMachineBody
  | AdmitSignerBody
  | RemoveSignerBody
  | CancelJoinKeyBody
  | RevokeBody
  | SetExpiryBody
  | ApproveRoutesBody
  | PolicyBody
  | RotateBody
  | MoveRegistryBody
  | FreeNameBody
  | SettleBody
  | RenameBody
  | LeaveBody
  | UnknownBody;

/** The author is the first signer, with scope `all`. */
export interface GenesisBody {
  readonly kind: "genesis";
  /** Of the network key of epoch 0 (`networkKeyHash`). */
  readonly networkKeyHash: Uint8Array;
}

/** The IPv4 addresses that machines may hold. The first pool of a chain counts. */
export interface PoolBody {
  readonly kind: "pool";
  readonly prefixes: readonly IpPrefix[];
}

/** A key pair that may sign joins, on these terms and no others. */
export interface AdmitJoinKeyBody {
  readonly kind: "admit-join-key";
  /** Ed25519, signs the join. */
  readonly publicKey: Uint8Array;
  /** X25519, opens the box with the network key. */
  readonly sealKey: Uint8Array;
  /** Otherwise one join uses it up. */
  readonly reusable: boolean;
  /** Unix time until which it may be used, a claim; 0 for no end. */
  readonly expiresAtMs: number;
  readonly terms: AdmissionTerms;
}

/** A machine comes in: by a join key, or by a signer at whose side it is. The machine signs the statement too. */
export interface JoinBody {
  readonly kind: "join";
  readonly machineKey: Uint8Array;
  readonly sealKey: Uint8Array;
  /** IPv4. */
  readonly address: IpAddress;
  readonly name: string;
  /** Given by a signer who admits. By a join key: `NO_TERMS`, since the join key's own hold. */
  readonly terms: AdmissionTerms;
}

/** A signer admits a machine that asked for it (`approval.ts`) and is not there to sign its place in the chain. */
export interface AdmitMachineBody {
  readonly kind: "admit-machine";
  readonly machineKey: Uint8Array;
  readonly sealKey: Uint8Array;
  /** IPv4. */
  readonly address: IpAddress;
  readonly name: string;
  /** The machine's signature under its seal key (`consent.ts`). */
  readonly consent: Uint8Array;
  readonly terms: AdmissionTerms;
}

/** What a signer may say: `all` everything, `admit` who comes in (`chain-rules.ts`). */
export type SignerScope = "all" | "admit";

export interface AdmitSignerBody {
  readonly kind: "admit-signer";
  /** Ed25519: a member's machine key, or a key kept elsewhere. */
  readonly publicKey: Uint8Array;
  readonly scope: SignerScope;
}

/** Cancels its join keys as well. The machines that it admitted stay. */
export interface RemoveSignerBody {
  readonly kind: "remove-signer";
  readonly publicKey: Uint8Array;
}

export interface CancelJoinKeyBody {
  readonly kind: "cancel-join-key";
  readonly joinKey: JoinKeyId;
}

/** The machine belongs no more. With it go the join key that it came by, its being a signer, and the join keys it created. */
export interface RevokeBody {
  readonly kind: "revoke";
  readonly machine: NodeId;
}

/** Renews or expires a machine: its membership ends at this time and no other. */
export interface SetExpiryBody {
  readonly kind: "set-expiry";
  readonly machine: NodeId;
  /** Unix time, 0 for no end. */
  readonly expiresAtMs: number;
}

/** The routes that the machine may serve: these and no others, whatever it offers. */
export interface ApproveRoutesBody {
  readonly kind: "approve-routes";
  readonly machine: NodeId;
  /** In order (`sortRoutes`), each exact; none takes all approvals back. */
  readonly routes: readonly IpPrefix[];
}

/** The access rules from here on. They stand in the chain themselves, so that no registry can keep them from a member. */
export interface PolicyBody {
  readonly kind: "policy";
  /** The file as it was set; the policy room says what is in it. None: no rules. */
  readonly policy: Uint8Array;
}

/** A new network key. */
export interface RotateBody {
  readonly kind: "rotate";
  /** One more than before. */
  readonly epoch: number;
  readonly networkKeyHash: Uint8Array;
  /** The key of the epoch before, sealed in the new one (`sealPreviousKey`). */
  readonly previousKey: Uint8Array;
}

/** Where the registry is from here on. */
export interface MoveRegistryBody {
  readonly kind: "move-registry";
  readonly registries: readonly RegistryPlace[];
}

/** Gives up a name that is reserved for a machine which does not bear it any more. */
export interface FreeNameBody {
  readonly kind: "free-name";
  readonly name: string;
}

/** Of the two branches of a fork, the one that this statement stands on is the chain. */
export interface SettleBody {
  readonly kind: "settle";
  /** The number at which the other branch begins. */
  readonly number: number;
  /** The hash of the other branch's statement of that number. */
  readonly otherHash: Uint8Array;
}

/** The author gives itself another name. */
export interface RenameBody {
  readonly kind: "rename";
  readonly name: string;
}

/** The author belongs no more. */
export interface LeaveBody {
  readonly kind: "leave";
}

/** A kind of a later version. */
export interface UnknownBody {
  readonly kind: "unknown";
  readonly kindNumber: number;
  readonly bytes: Uint8Array;
}
