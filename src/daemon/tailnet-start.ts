/**
 * How a machine becomes a member: it makes a tailnet, joins one by a join key or by the shared secret,
 * or opens the one that it belongs to already. Each may be tried again after it failed half-way.
 */

import { equalBytes, parseBase64Url } from "../base/bytes.ts";
import { MinitailError } from "../base/errors.ts";
import type { IpPrefix } from "../base/ip.ts";
import { Chain } from "../trust/chain.ts";
import type { ChainState } from "../trust/chain-state.ts";
import {
  EPOCH_HASH_LENGTH_BYTES,
  type EpochPlace,
  type EpochSecret,
  epochRecipientTag,
  openEpochBox,
} from "../trust/epoch.ts";
import { type KeyPair, type NodeId, nodeIdOf, type TailnetId } from "../trust/identity.ts";
import { type JoinKey, joinKeyIdOf, joinKeyPairs } from "../trust/join-key.ts";
import { generateNetworkKey, networkKeyHash } from "../trust/seal.ts";
import { type SharedSecretKeys, secretSealKey } from "../trust/secret.ts";
import { signGenesis } from "../trust/statement.ts";
import type { JoinBody } from "../trust/statement-body.ts";
import { type AdmissionTerms, NO_TERMS } from "../trust/terms.ts";
import { freeAddress, nameFor } from "./free-place.ts";
import {
  refuseRemoved,
  refuseRetired,
  refuseUnusable,
  requireNewestKey,
  staleChain,
  unknownJoinKey,
  unknownTailnet,
} from "./join-refusals.ts";
import { Tailnet } from "./tailnet.ts";
import { appendToChain } from "./tailnet-append.ts";
import { ChainList } from "./tailnet-chain-list.ts";
import { refuseClockOff } from "./tailnet-clock.ts";
import type { TailnetContext } from "./tailnet-context.ts";
import { Epochs } from "./tailnet-epochs.ts";
import { tailnetKeys } from "./tailnet-keys.ts";
import { loadChain, loadMembership, loadRecords, type Membership, saveChain, saveMembership } from "./tailnet-store.ts";

const FIRST_EPOCH = 0;

export interface NewTailnet {
  readonly pool: readonly IpPrefix[];
  /** What the machine calls itself; it becomes a name. */
  readonly name: string;
  /** What the first machine is a member as. */
  readonly terms?: AdmissionTerms;
  /** What the embedded registry takes, for the boxes of newcomers; empty where the registry is not ours. */
  readonly registryToken: string;
}

export interface SecretTailnet extends Pick<NewTailnet, "pool" | "name"> {
  /** How hard the secret is to guess (`estimateSecretBits`). */
  readonly secretBits?: number;
  /** Called where there is no tailnet yet, before it is made. What this throws is thrown. */
  onMaking?(): void;
}

/** The tailnet that this machine belongs to by what is on disk; `undefined` where it belongs to none. Needs no registry. */
export function openTailnet(context: TailnetContext): Tailnet | undefined {
  const membership = loadMembership(context.store);
  const chain = membership && loadChain(context.store);
  if (!chain?.state.members.has(selfIdOf(context))) return undefined;
  return new Tailnet(context, membership!, chain, loadRecords(context.store));
}

/** Makes a tailnet whose first machine and signer is this one. It is on disk before it is in the registry. */
export async function createTailnet(context: TailnetContext, options: NewTailnet): Promise<Tailnet> {
  const { identity, random, clock } = context;
  const networkKey = generateNetworkKey(FIRST_EPOCH, random);
  const signer = identity.machineKey;
  const chain = Chain.fromGenesis(signGenesis(signer, networkKeyHash(networkKey.key)))!;
  appendOwn(chain, chain.sign({ kind: "pool", prefixes: options.pool }, clock.nowMs(), signer));
  const join = joinBody(context, chain.state, options.name, options.terms ?? NO_TERMS);
  appendOwn(chain, chain.sign(join, clock.nowMs(), signer, identity.machineKey));
  const membership: Membership = {
    tailnetId: chain.tailnetId,
    epochs: [{ networkKey, registryToken: options.registryToken }],
    secretSigner: undefined,
  };
  const tailnet = becomeMember(context, membership, chain);
  const { list } = readerOf(context, membership, [identity.sealKey]);
  await list.push({ statements: chain.statements, boxesFor: [identity.sealKey.publicKey] });
  await tailnet.sync();
  return tailnet;
}

/** Joins by a join key. Throws why that does not admit this machine (`join-refusals.ts`), `pool-exhausted` or `clock-off`. */
export async function joinTailnet(context: TailnetContext, joinKey: JoinKey, name: string): Promise<Tailnet> {
  const { identity, clock } = context;
  const pairs = joinKeyPairs(joinKey.seed);
  const secret = await openFirstBox(context, joinKey.tailnetId, joinKey.epoch, pairs.seal);
  const membership: Membership = { tailnetId: joinKey.tailnetId, epochs: [secret], secretSigner: undefined };
  const { list, epochs } = readerOf(context, membership, [identity.sealKey, pairs.seal]);
  const selfId = selfIdOf(context);
  await appendToChain(list, context, (chain) => {
    if (!chain) throw unknownTailnet();
    if (!chain.contains(joinKey.head)) throw staleChain();
    if (chain.state.members.has(selfId)) return undefined;
    refuseClockOff(chain.state, clock.nowMs());
    refuseRemoved(chain.state, selfId);
    refuseUnusable(chain.state, chain.state.joinKeys.get(joinKeyIdOf(pairs.signing.publicKey)), clock.nowMs());
    requireNewestKey(epochs, chain.state);
    const body = joinBody(context, chain.state, name, NO_TERMS);
    return {
      statements: [chain.sign(body, clock.nowMs(), pairs.signing, identity.machineKey)],
      boxesFor: [identity.sealKey.publicKey],
    };
  });
  return becomeMember(context, { ...membership, epochs: epochs.secrets }, list.known.chain!);
}

/**
 * Joins the tailnet of the shared secret, or makes it where the registry has none. Throws `wrong-secret` for one that was
 * retired, `pool-exhausted` or `clock-off`.
 */
export async function joinBySecret(
  context: TailnetContext,
  keys: SharedSecretKeys,
  options: SecretTailnet,
): Promise<Tailnet> {
  const { identity, clock } = context;
  const genesis = genesisOfSecret(keys);
  const membership: Membership = {
    tailnetId: tailnetIdOfSecret(keys),
    epochs: [{ networkKey: keys.networkKey, registryToken: keys.registryToken }],
    secretSigner: keys.signer,
    secretBits: options.secretBits,
  };
  const secretBoxKey = secretSealKey(keys.signer);
  const { list, epochs } = readerOf(context, membership, [identity.sealKey, secretBoxKey]);
  const selfId = selfIdOf(context);
  await appendToChain(list, context, (chain) => {
    if (chain?.state.members.has(selfId)) return undefined;
    if (chain) {
      refuseRetired(chain.state, keys.signer.publicKey);
      refuseClockOff(chain.state, clock.nowMs());
      requireNewestKey(epochs, chain.state);
    }
    const draft = copyOf(chain) ?? Chain.fromGenesis(genesis)!;
    if (draft.state.pool.length === 0) {
      options.onMaking?.();
      appendOwn(draft, draft.sign({ kind: "pool", prefixes: options.pool }, clock.nowMs(), keys.signer));
    }
    const body = joinBody(context, draft.state, options.name, NO_TERMS);
    appendOwn(draft, draft.sign(body, clock.nowMs(), keys.signer, identity.machineKey));
    const statements = draft.statements.slice(chain?.statements.length ?? 0);
    return { statements, boxesFor: [identity.sealKey.publicKey] };
  });
  return becomeMember(context, { ...membership, epochs: epochs.secrets }, list.known.chain!);
}

/** The tailnet of all who know the shared secret. */
export function tailnetIdOfSecret(keys: SharedSecretKeys): TailnetId {
  return Chain.fromGenesis(genesisOfSecret(keys))!.tailnetId;
}

function genesisOfSecret(keys: SharedSecretKeys): Uint8Array {
  return signGenesis(keys.signer, networkKeyHash(keys.networkKey.key));
}

export function selfIdOf(context: TailnetContext): NodeId {
  return nodeIdOf(context.identity.machineKey.publicKey);
}

/** What a newcomer reads the chain with; `sealKeys` open its boxes. */
export function readerOf(
  context: TailnetContext,
  membership: Membership,
  sealKeys: readonly KeyPair[],
): { readonly list: ChainList; readonly epochs: Epochs } {
  const { tailnetId } = membership;
  const { registry, random } = context;
  const epochs = new Epochs(tailnetId, membership.epochs);
  const onEpoch = () => context.useTokens?.(epochs.registryTokens);
  onEpoch();
  return { list: new ChainList({ registry, random, tailnetId, epochs, sealKeys, onEpoch }), epochs };
}

/** Stores what makes this machine a member, the membership last: where that is, all is. */
export function becomeMember(context: TailnetContext, membership: Membership, chain: Chain): Tailnet {
  saveChain(context.store, chain);
  saveMembership(context.store, membership);
  return new Tailnet(context, membership, chain, loadRecords(context.store));
}

/** The join of this machine with a free address and name. */
function joinBody(context: TailnetContext, state: ChainState, name: string, terms: AdmissionTerms): JoinBody {
  const { machineKey, sealKey } = context.identity;
  return {
    kind: "join",
    machineKey: machineKey.publicKey,
    sealKey: sealKey.publicKey,
    address: freeAddress(state),
    name: nameFor(state, nodeIdOf(machineKey.publicKey), name),
    terms,
  };
}

/**
 * The secret of the epoch that a newcomer was told of, from the box for its seal key. Throws `join-key-unknown` where
 * the registry does not hold the tailnet, or has no such box.
 */
export async function openFirstBox(
  context: Pick<TailnetContext, "registry">,
  tailnetId: TailnetId,
  place: EpochPlace,
  sealKey: KeyPair,
): Promise<EpochSecret> {
  const keys = tailnetKeys(tailnetId);
  const tag = epochRecipientTag(tailnetId, place, sealKey.publicKey);
  const text = await context.registry.hget(keys.epoch(place.epoch), tag);
  const box = text === undefined ? undefined : parseBase64Url(text);
  const secret = box && openEpochBox(box, tailnetId, place.epoch, sealKey);
  const isTrue = secret && isAt(secret, place);
  if (isTrue) return secret;
  if ((await context.registry.llen(keys.chain)) === 0) throw unknownTailnet();
  throw unknownJoinKey();
}

function isAt(secret: EpochSecret, { networkKeyHash: hash }: EpochPlace): boolean {
  return equalBytes(networkKeyHash(secret.networkKey.key).subarray(0, EPOCH_HASH_LENGTH_BYTES), hash);
}

/** Appends what this machine just signed. */
function appendOwn(chain: Chain, bytes: Uint8Array): void {
  const result = chain.append(bytes, { signaturesVerified: true });
  if (result.outcome === "refused") throw new MinitailError("internal", `own statement refused: ${result.reason}`);
}

function copyOf(chain: Chain | undefined): Chain | undefined {
  if (!chain) return undefined;
  const copy = Chain.fromGenesis(chain.statements[0]!)!;
  for (const bytes of chain.statements.slice(1)) appendOwn(copy, bytes);
  return copy;
}
