/** Another name for a machine. Only the machine itself says so: no signer passes one machine off as another. */

import { MinitailError } from "../../base/errors.ts";
import { MOST_NAMES_OF_A_MACHINE } from "../../trust/chain-rules.ts";
import type { ChainState, Member } from "../../trust/chain-state.ts";
import { isName, LONGEST_NAME, normalizeName } from "../../trust/name.ts";
import type { RenamedNode } from "../calls/node-rename.ts";
import type { Tailnet } from "../tailnet.ts";
import { findMember } from "./find-member.ts";

/**
 * This machine, which `text` names, is called `name`. Throws `no-such-peer`, `not-permitted` where another machine is
 * meant, `usage` for what is no name, and `name-taken`.
 */
export async function renameNode(tailnet: Tailnet, text: string, name: string): Promise<RenamedNode> {
  requireName(name);
  const member = findMember(tailnet, text);
  if (member.id !== tailnet.selfId) {
    throw new MinitailError("not-permitted", `only ${member.name} itself can take another name`, {
      hint: `run minitail node rename ${member.name} ${name} there`,
    });
  }
  const { clock, identity } = tailnet.context;
  await tailnet.append((chain) => {
    const self = chain!.state.members.get(tailnet.selfId);
    if (!self || self.name === name) return undefined;
    refuseName(chain!.state, self, name);
    const statement = chain!.sign({ kind: "rename", name }, clock.nowMs(), identity.machineKey);
    return { statements: [statement], boxesFor: [] };
  });
  return { id: member.id, name };
}

/** Throws `usage`, with a name that would do. */
export function requireName(name: string): void {
  if (isName(name)) return;
  throw new MinitailError("usage", `${JSON.stringify(name)} cannot be a machine's name`, {
    hint: `a name is a word of a-z, 0-9 and -, at most ${LONGEST_NAME} long, such as ${normalizeName(name)}`,
  });
}

function refuseName(state: ChainState, self: Member, name: string): void {
  const holder = state.names.get(name);
  if (holder === self.id) return;
  if (holder !== undefined) {
    const now = state.members.get(holder)?.name;
    throw new MinitailError(
      "name-taken",
      now === name
        ? `another machine is called ${name}`
        : `${name} is reserved for ${now ?? holder}, which bore it before`,
      {
        hint:
          now === name
            ? "choose another name"
            : `choose another, or free it on a signer: minitail node free-name ${name}`,
      },
    );
  }
  if (self.formerNames.length + 1 < MOST_NAMES_OF_A_MACHINE) return;
  throw new MinitailError("name-taken", `a machine keeps at most ${MOST_NAMES_OF_A_MACHINE} names`, {
    hint: `free one of them on a signer: minitail node free-name ${self.formerNames[0]}`,
  });
}
