/** Letting in a machine that asks with a code (`ask-approval.ts`). */

import { formatBase64Url, parseBase64Url } from "../../base/bytes.ts";
import { MinitailError } from "../../base/errors.ts";
import {
  type ApprovalKeys,
  type ApprovalRequest,
  approvalKeys,
  openApprovalRequest,
  parseApprovalCode,
  sealApprovalAnswer,
} from "../../trust/approval.ts";
import type { Member } from "../../trust/chain-state.ts";
import { type NodeId, nodeIdOf } from "../../trust/identity.ts";
import type { RegistryPlace } from "../../trust/registry-place.ts";
import type { AdmissionTerms } from "../../trust/terms.ts";
import { APPROVAL_LIVES_MS, answerPlace, requestPlace } from "../approval-places.ts";
import type { AskingReply } from "../calls/node-approve.ts";
import { freeAddress, nameFor } from "../free-place.ts";
import { formatTime } from "../status.ts";
import type { Tailnet } from "../tailnet.ts";
import { placeOf } from "../tailnet-boxes.ts";
import { requireTerms } from "./terms.ts";

export interface Approval {
  /** As the person read it from that machine. */
  readonly code: string;
  /** The machine that the person was shown. */
  readonly id: NodeId;
  readonly terms: AdmissionTerms;
  /** Where it finds the registry. */
  readonly registries: readonly RegistryPlace[];
}

/** Who asks with this code. Throws `usage`, `not-signer`, `approval-unknown` or `approval-answered`. */
export async function findAskingMachine(tailnet: Tailnet, code: string): Promise<AskingReply> {
  tailnet.requireSigner("admit");
  const { request } = await readRequest(tailnet, code);
  const id = nodeIdOf(request.machineKey);
  const former = tailnet.state.formerMembers.get(id);
  return {
    id,
    name: request.name,
    former: former ? { name: former.name, how: former.how, at: formatTime(former.atMs) } : null,
  };
}

/** Admits the machine, and tells it so. Throws as above, and `pool-exhausted`. Tried again after it failed half-way, it goes on. */
export async function approveMachine(tailnet: Tailnet, approval: Approval): Promise<Member> {
  const { context } = tailnet;
  const { keys, request } = await readRequest(tailnet, approval.code);
  const id = nodeIdOf(request.machineKey);
  if (id !== approval.id) {
    throw new MinitailError("approval-unknown", "another machine asks with this code now", {
      hint: "look at what asks once more, and compare its id",
    });
  }
  await admit(tailnet, id, request, requireTerms(approval.terms));
  const answer = {
    tailnetId: tailnet.chain.tailnetId,
    head: tailnet.chain.head,
    epoch: placeOf(tailnet.epochSecret),
    registries: approval.registries,
  };
  const sealed = formatBase64Url(sealApprovalAnswer(answer, request, keys, context.random));
  const isFirst = await context.registry.set(answerPlace(keys), sealed, { px: APPROVAL_LIVES_MS, ifAbsent: true });
  if (!isFirst && (await context.registry.get(answerPlace(keys))) !== sealed) throw answered();
  return tailnet.state.members.get(id)!;
}

async function admit(tailnet: Tailnet, id: NodeId, request: ApprovalRequest, terms: AdmissionTerms): Promise<void> {
  const { clock } = tailnet.context;
  const needed = tailnet.state.formerMembers.get(id)?.how === "revoked" ? "all" : "admit";
  tailnet.requireSigner(needed);
  const { machineKey, sealKey, consent, name } = request;
  await tailnet.append((chain) => {
    const { state } = chain!;
    if (state.members.has(id)) return undefined;
    const body = {
      kind: "admit-machine",
      machineKey,
      sealKey,
      address: freeAddress(state),
      name: nameFor(state, id, name),
      consent,
      terms,
    } as const;
    const statement = chain!.sign(body, clock.nowMs(), tailnet.requireSigner(needed));
    return { statements: [statement], boxesFor: [sealKey] };
  });
}

async function readRequest(
  tailnet: Tailnet,
  text: string,
): Promise<{ readonly keys: ApprovalKeys; readonly request: ApprovalRequest }> {
  const code = parseApprovalCode(text);
  if (!code) {
    throw new MinitailError("usage", "a code is 16 letters and digits in four groups", {
      hint: "type it as the other machine shows it",
    });
  }
  const keys = approvalKeys(code);
  const { registry } = tailnet.context;
  const [sealed, answer] = await Promise.all([registry.get(requestPlace(keys)), registry.get(answerPlace(keys))]);
  if (answer !== undefined) throw answered();
  const bytes = sealed === undefined ? undefined : parseBase64Url(sealed);
  const request = bytes && openApprovalRequest(bytes, keys);
  if (request) return { keys, request };
  throw new MinitailError("approval-unknown", "no machine asks with this code", {
    hint: "it is mistyped, or older than ten minutes: the machine shows a new one then",
  });
}

function answered(): MinitailError {
  return new MinitailError("approval-answered", "this code was answered already", {
    hint: "a code lets one machine in, once; minitail node list shows whether it did",
  });
}
