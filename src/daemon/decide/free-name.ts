/** Giving up a name that is reserved for a machine which does not bear it any more. */

import { MinitailError } from "../../base/errors.ts";
import type { FreedName } from "../calls/node-free-name.ts";
import type { Tailnet } from "../tailnet.ts";

/** Throws `not-signer`, `no-such-peer` for a name that is free, and `name-taken` for one that a machine bears. */
export async function freeName(tailnet: Tailnet, name: string): Promise<FreedName> {
  tailnet.requireSigner("all");
  refuseName(tailnet, name);
  await tailnet.append((chain) => {
    const { names, members } = chain!.state;
    const holder = names.get(name);
    if (holder === undefined || members.get(holder)?.name === name) return undefined;
    const body = { kind: "free-name", name } as const;
    return {
      statements: [chain!.sign(body, tailnet.context.clock.nowMs(), tailnet.requireSigner("all"))],
      boxesFor: [],
    };
  });
  return { name };
}

function refuseName({ state }: Tailnet, name: string): void {
  const holder = state.names.get(name);
  if (holder === undefined) {
    throw new MinitailError("no-such-peer", `the name ${JSON.stringify(name)} is not reserved for any machine`);
  }
  if (state.members.get(holder)?.name !== name) return;
  throw new MinitailError("name-taken", `a machine is called ${name}`, {
    hint: `rename it there with minitail node rename ${name} NEW, or remove it with minitail node remove ${name}`,
  });
}
