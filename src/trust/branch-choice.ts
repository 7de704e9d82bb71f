/**
 * Which branch is given up where there are too many.
 *
 * A branch is worth what it alone makes us do: the removals and settling statements on it that no other
 * branch holds too. A signer can make as many of these as it likes, to push out the branch on which it
 * is removed itself. So what counts is, for how many branches its authors have taken room already: of the
 * author who takes most, the branch that came last goes. What machines say about themselves counts less,
 * and a branch that makes us do nothing goes first.
 */

import { formatHex } from "../base/bytes.ts";
import type { Branch } from "./branch.ts";
import type { Chain } from "./chain.ts";
import { nodeIdOf } from "./identity.ts";
import { isWithinScope } from "./removals.ts";
import type { Statement } from "./statement.ts";

const SIGNERS_WORDS: ReadonlySet<Statement["body"]["kind"]> = new Set([
  "revoke",
  "cancel-join-key",
  "remove-signer",
  "settle",
]);

/** How little a branch is worth that none but its own machines spoke on, and one that nobody did. */
const MACHINES_ALONE = 1_000_000;
const NOTHING = Number.POSITIVE_INFINITY;

interface Contribution {
  readonly author: string;
  readonly statement: string;
  readonly isBySigner: boolean;
}

/** One of `branches`, which stand in the order in which they came. */
export function branchToDrop(own: Chain, branches: readonly Branch[]): Branch | undefined {
  const all = branches.map((branch) => contributionsOf(own, branch));
  const holders = countBy(all.flat().map(({ statement }) => statement));
  const unique = all.map((contributions) => contributions.filter(({ statement }) => holders.get(statement) === 1));
  const rooms = countBy(unique.flatMap((contributions) => [...new Set(contributions.map(({ author }) => author))]));
  const costs = unique.map((contributions) =>
    contributions
      .map(({ author, isBySigner }) => rooms.get(author)! + (isBySigner ? 0 : MACHINES_ALONE))
      .reduce((a, b) => Math.min(a, b), NOTHING),
  );
  const highest = costs.reduce((a, b) => Math.max(a, b), 0);
  return branches[costs.lastIndexOf(highest)];
}

function contributionsOf(own: Chain, branch: Branch): Contribution[] {
  return branch.decoded.flatMap((statement) => {
    const { author, body, number } = statement;
    const isBySigner = SIGNERS_WORDS.has(body.kind) && isWithinScope(own.state, statement, branch.forkNumber);
    const isOwnLeave = body.kind === "leave" && own.state.members.has(nodeIdOf(author));
    if (!isBySigner && !isOwnLeave) return [];
    return [{ author: formatHex(author), statement: formatHex(branch.chain.hashAt(number)!), isBySigner }];
  });
}

function countBy(keys: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}
