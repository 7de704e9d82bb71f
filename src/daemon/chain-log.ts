/** The statements of the chain in words, with the names that machines bore when each was made. */

import { equalBytes, formatHex } from "../base/bytes.ts";
import { formatAddress, formatPrefix } from "../base/ip.ts";
import { Chain } from "../trust/chain.ts";
import type { ChainState } from "../trust/chain-state.ts";
import { formatTailnetId, type NodeId, nodeIdOf } from "../trust/identity.ts";
import { joinKeyIdOf } from "../trust/join-key.ts";
import { decodeStatement, type Statement } from "../trust/statement.ts";
import type { AdmitMachineBody, JoinBody, StatementBody } from "../trust/statement-body.ts";
import type { AdmissionTerms } from "../trust/terms.ts";
import type { LoggedStatement } from "./calls/lock.ts";
import { formatTime } from "./status.ts";

/** Of a key or a hash, what tells it from others. */
const HEX_SHOWN = 16;

/** From the genesis on. */
export function chainLog(chain: Chain): LoggedStatement[] {
  const [genesis, ...rest] = chain.statements;
  const replay = Chain.fromGenesis(genesis!)!;
  const log = [logged(replay, decodeStatement(genesis!)!)];
  for (const bytes of rest) {
    const statement = decodeStatement(bytes)!;
    // Before it is applied: who is removed has its name until then.
    const before = partsOf(replay, statement);
    replay.append(bytes, { signaturesVerified: true });
    log.push({ ...before, hash: formatHex(replay.head.hash) });
  }
  return log;
}

function logged(chain: Chain, statement: Statement): LoggedStatement {
  return { ...partsOf(chain, statement), hash: formatHex(chain.head.hash) };
}

function partsOf({ state }: Chain, statement: Statement): Omit<LoggedStatement, "hash"> {
  const { number, timeMs, author, body } = statement;
  return {
    number,
    at: number === 0 ? null : formatTime(timeMs),
    kind: body.kind,
    by: authorName(state, author),
    what: inWords(state, body),
  };
}

function authorName(state: ChainState, author: Uint8Array): string {
  const id = nodeIdOf(author);
  const machine = state.members.get(id) ?? state.formerMembers.get(id);
  if (machine && equalBytes(machine.machineKey, author)) return machine.name;
  const joinKey = joinKeyIdOf(author);
  return state.joinKeys.has(joinKey) ? `join key ${joinKey}` : `key ${formatHex(author).slice(0, HEX_SHOWN)}`;
}

function inWords(state: ChainState, body: StatementBody): string {
  switch (body.kind) {
    case "genesis":
      return `begins the tailnet ${formatTailnetId(state.tailnetId)}`;
    case "pool":
      return `addresses from ${body.prefixes.map(formatPrefix).join(", ")}`;
    case "admit-join-key": {
      const uses = body.reusable ? "any number of machines" : "one machine";
      return `join key ${joinKeyIdOf(body.publicKey)} for ${uses}${until(body.expiresAtMs)}${termsText(body.terms)}`;
    }
    case "admit-machine":
      return `${newcomerText(body)} is let in${termsText(body.terms)}`;
    case "join":
      return `${newcomerText(body)} joins${termsText(body.terms)}`;
    case "admit-signer":
      return `${keyName(state, body.publicKey)} becomes a signer${body.scope === "admit" ? " that only admits" : ""}`;
    case "remove-signer":
      return `${keyName(state, body.publicKey)} is no signer any more`;
    case "cancel-join-key":
      return `join key ${body.joinKey} is cancelled`;
    case "revoke":
      return `${machineName(state, body.machine)} is removed`;
    case "set-expiry":
      return `the membership of ${machineName(state, body.machine)} ends ${endText(body.expiresAtMs)}`;
    case "approve-routes": {
      const routes = body.routes.map(formatPrefix).join(", ");
      return `routes through ${machineName(state, body.machine)}: ${routes === "" ? "none" : routes}`;
    }
    case "policy":
      return body.policy.length === 0 ? "no access rules" : `access rules of ${body.policy.length} bytes`;
    case "rotate":
      return `network key ${body.epoch}`;
    case "move-registry":
      return `the registry is at ${body.registries.flatMap(({ urls }) => urls).join(", ")}`;
    case "free-name":
      return `the name ${body.name} is free`;
    case "settle":
      return `another chain from statement ${body.number} on is given up: ${formatHex(body.otherHash).slice(0, HEX_SHOWN)}`;
    case "rename":
      return `is called ${body.name} from now on`;
    case "leave":
      return "leaves";
    case "unknown":
      return `a statement of kind ${body.kindNumber}, which needs a newer minitail`;
  }
}

function keyName(state: ChainState, publicKey: Uint8Array): string {
  const id = nodeIdOf(publicKey);
  return (
    (state.members.get(id) ?? state.formerMembers.get(id))?.name ?? `key ${formatHex(publicKey).slice(0, HEX_SHOWN)}`
  );
}

function machineName(state: ChainState, id: NodeId): string {
  return (state.members.get(id) ?? state.formerMembers.get(id))?.name ?? id;
}

function newcomerText({ name, address, machineKey }: JoinBody | AdmitMachineBody): string {
  return `${name} (${formatAddress(address)}, ${nodeIdOf(machineKey)})`;
}

function until(expiresAtMs: number): string {
  return expiresAtMs === 0 ? "" : ` until ${formatTime(expiresAtMs)}`;
}

function endText(expiresAtMs: number): string {
  return expiresAtMs === 0 ? "never" : `at ${formatTime(expiresAtMs)}`;
}

function termsText({ user, tags, ephemeral }: AdmissionTerms): string {
  const words = [user === "" ? "" : `user ${user}`, ...tags, ephemeral ? "ephemeral" : ""].filter(
    (word) => word !== "",
  );
  return words.length === 0 ? "" : `; ${words.join(", ")}`;
}
