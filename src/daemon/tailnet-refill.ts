/** Gives back to the registry what it lost of the chain: a backup, a failover or an operator took it away. */

import { epochRecipients } from "../trust/rotation.ts";
import type { ChainList } from "./tailnet-chain-list.ts";
import { delay, randomFraction, type TailnetContext } from "./tailnet-context.ts";

/** All members notice at about the same time, and one copy is enough. */
const SPREAD_MS = 2000;
const STATEMENTS_PER_PUSH = 100;
const BOXES_PER_PUSH = 100;

/** Appends what the list lacks, if nobody else did; how many statements it wrote. */
export async function refillChain(list: ChainList, context: TailnetContext): Promise<number> {
  if (!context.servesRegistry) await delay(context.clock, randomFraction(context.random) * SPREAD_MS);
  await list.read();
  const missing = list.missingStatements();
  if (missing.length === 0) return 0;
  for (let i = 0; i < missing.length; i += STATEMENTS_PER_PUSH) {
    await list.push({ statements: missing.slice(i, i + STATEMENTS_PER_PUSH), boxesFor: [] });
  }
  await refillBoxes(list);
  await list.read();
  return missing.length;
}

/** A box for every machine and live join key that has none. */
async function refillBoxes(list: ChainList): Promise<void> {
  const missing = await list.missingBoxes(epochRecipients(list.chain!.state, list.forks?.removals));
  for (let i = 0; i < missing.length; i += BOXES_PER_PUSH) {
    await list.push({ statements: [], boxesFor: missing.slice(i, i + BOXES_PER_PUSH) });
  }
}
