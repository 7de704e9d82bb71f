/**
 * How this machine comes to its tailnet: by what is on disk once it is a member, or by what was asked for on the command
 * line (`membership-ways.ts`), written down before it is begun, so that a start after a crash goes on with it.
 */

import { equalBytes } from "../base/bytes.ts";
import { MinitailError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { systemRandom } from "../crypto/random.ts";
import type { Registry } from "../registry/registry.ts";
import type { FormerMember } from "../trust/chain-state.ts";
import { nodeIdOf, type TailnetId } from "../trust/identity.ts";
import { parseJoinKey } from "../trust/join-key.ts";
import { deriveSharedSecretKeys } from "../trust/secret.ts";
import type { ApprovalInput } from "./approval-intent.ts";
import { type EmbeddedRegistry, readEmbeddedRegistryKeys, startEmbeddedRegistry } from "./embedded-registry.ts";
import { forgetIntent, hasIntent, settleIntent } from "./intent.ts";
import { contextOf, membershipOf, storeOf } from "./membership-enter.ts";
import { COME_BACK_HINT } from "./membership-health.ts";
import { addressesOf, follow, secretRegistryAddress } from "./membership-ways.ts";
import type { NodeKey } from "./node-key.ts";
import type { UpOptions } from "./options.ts";
import { writeRegistries } from "./registries-file.ts";
import { followGiven } from "./registry-choice.ts";
import type { RegistryAddress } from "./registry-connection.ts";
import { RegistryHome } from "./registry-home.ts";
import type { Settings } from "./settings.ts";
import type { StateDirectory } from "./state-directory.ts";
import { formatTime } from "./status.ts";
import type { Tailnet } from "./tailnet.ts";
import { openTailnet, tailnetIdOfSecret } from "./tailnet-start.ts";
import { loadChain, loadMembership, loadOrCreateIdentity } from "./tailnet-store.ts";

/** A machine that is a member, and the registry that it follows. */
export interface Membership {
  readonly tailnet: Tailnet;
  readonly registry: Registry;
  /** Where that is, and how it changes. */
  readonly registryHome: RegistryHome;
  /** WireGuard's key pair of this machine. */
  readonly nodeKey: NodeKey;
  readonly embedded: EmbeddedRegistry | undefined;
}

export interface MembershipOptions {
  readonly state: StateDirectory;
  readonly settings: Settings;
  readonly options: UpOptions;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Told what is waited for, in words for a person. */
  onWaiting(message: string): void;
  /** Told of each code with which this machine asks to be let in, and `undefined` once one was answered. */
  readonly onApproval: ApprovalInput["onApproval"];
}

/** Opens the tailnet that this machine belongs to, or makes or joins the one that was asked for. */
export async function establishMembership(input: MembershipOptions): Promise<Membership> {
  const { state, options } = input;
  const known = loadMembership(storeOf(state));
  if (!known) return follow(input, settleIntent(state, options, input.log));
  if (mayComeBack(state, options) && formerSelf(state)) {
    await refuseOtherInvitation(options, known.tailnetId);
    return follow(input, settleIntent(state, options, input.log));
  }
  await takeUpOptions(input, known.tailnetId);
  return reopen(input);
}

/** Who was removed, or left, comes back as the machine that it was, by what lets it in. */
function mayComeBack(state: StateDirectory, { joinKey, secret, registryUrl }: UpOptions): boolean {
  return (joinKey ?? secret ?? registryUrl) !== undefined || hasIntent(state);
}

async function refuseOtherInvitation({ joinKey, secret }: UpOptions, tailnetId: TailnetId): Promise<void> {
  if (joinKey !== undefined) refuseOtherTailnet(parseJoinKey(joinKey).tailnetId, tailnetId);
  if (secret !== undefined) refuseOtherTailnet(tailnetIdOfSecret(await deriveSharedSecretKeys(secret)), tailnetId);
}

/**
 * A machine that belongs to a tailnet goes on following it; a key or secret of another is refused. One of its own may
 * say where the registry is now.
 */
async function takeUpOptions({ state, options }: MembershipOptions, tailnetId: TailnetId): Promise<void> {
  const { joinKey: joinKeyText, secret, registryUrl, token } = options;
  let addresses: readonly RegistryAddress[] | undefined;
  if (joinKeyText !== undefined) {
    const joinKey = parseJoinKey(joinKeyText);
    refuseOtherTailnet(joinKey.tailnetId, tailnetId);
    addresses = addressesOf(joinKey);
  }
  if (secret !== undefined) {
    const keys = await deriveSharedSecretKeys(secret);
    refuseOtherTailnet(tailnetIdOfSecret(keys), tailnetId);
    if (registryUrl !== undefined) addresses = [secretRegistryAddress(registryUrl, token, keys)];
  }
  if (addresses && !readEmbeddedRegistryKeys(state)) writeRegistries(state, addresses);
  if (joinKeyText === undefined && secret === undefined) await followGiven(state, { registryUrl, token }, tailnetId);
}

function refuseOtherTailnet(asked: TailnetId, known: TailnetId): void {
  if (equalBytes(asked, known)) return;
  throw new MinitailError("usage", "this machine belongs to another tailnet already", {
    hint: "use another --state-dir, --socket and --tun for a second one",
  });
}

async function reopen(input: MembershipOptions): Promise<Membership> {
  const { state, settings, log } = input;
  requireFiles(state, ["identity", "chain"]);
  const keys = readEmbeddedRegistryKeys(state);
  const embedded = keys && (await startEmbeddedRegistry(state, settings.listen, keys, log));
  let home: RegistryHome | undefined;
  try {
    home = RegistryHome.reopen(state, embedded);
    const tailnet = openTailnet(contextOf(input, home));
    if (!tailnet) {
      refuseFormerMember(input);
      throw new MinitailError("state-damaged", `the state in ${state.path} is of a machine that is no member`, {
        hint: "put that folder back from a backup, or remove it and join again",
      });
    }
    forgetIntent(state);
    return membershipOf(input, tailnet, home);
  } catch (error) {
    home?.close();
    await embedded?.stop();
    throw error;
  }
}

/** Throws `machine-removed` where the chain on disk says that this machine belongs no more. */
function refuseFormerMember({ state }: MembershipOptions): void {
  const former = formerSelf(state);
  if (!former) return;
  const end = former.how === "left" ? "has left the tailnet" : "was removed from the tailnet";
  throw new MinitailError("machine-removed", `this machine ${end} at ${formatTime(former.atMs)}`, {
    hint: COME_BACK_HINT,
  });
}

/** What this machine was to the tailnet to which it belongs no more, by the chain on disk. */
function formerSelf(state: StateDirectory): FormerMember | undefined {
  const store = storeOf(state);
  const identity = state.read("identity") && loadOrCreateIdentity(store, systemRandom);
  return identity && loadChain(store)?.state.formerMembers.get(nodeIdOf(identity.machineKey.publicKey));
}

/** Made anew, they would make this machine another one. */
function requireFiles(state: StateDirectory, names: readonly string[]): void {
  for (const name of names) {
    if (state.read(name)) continue;
    throw new MinitailError("state-damaged", `${state.file(name)} is missing`, {
      hint: "put it back from a backup, or remove the whole folder and join again",
    });
  }
}
