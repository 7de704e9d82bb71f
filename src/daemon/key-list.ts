/** The join keys of the tailnet as its chain has them. */

import { equalBytes } from "../base/bytes.ts";
import { type AdmittedJoinKey, isLiveJoinKey } from "../trust/chain-state.ts";
import type { KeyList, ListedKey } from "./calls/key-list.ts";
import { formatTime } from "./status.ts";
import type { Tailnet } from "./tailnet.ts";

export function keyList(tailnet: Tailnet): KeyList {
  return { keys: [...tailnet.state.joinKeys.values()].map((key) => listedKey(tailnet, key)) };
}

export function listedKey(tailnet: Tailnet, key: AdmittedJoinKey): ListedKey {
  const { id, reusable, terms, createdAtMs, createdBy, expiresAtMs, uses } = key;
  const maker = [...tailnet.state.members.values()].find(({ machineKey }) => equalBytes(machineKey, createdBy));
  return {
    id,
    state: stateOf(key, tailnet.judgedTimeMs()),
    reusable,
    ephemeral: terms.ephemeral,
    tags: terms.tags,
    user: terms.user,
    createdAt: formatTime(createdAtMs),
    createdBy: maker?.name ?? null,
    expiresAt: expiresAtMs === 0 ? null : formatTime(expiresAtMs),
    uses,
  };
}

function stateOf(key: AdmittedJoinKey, nowMs: number): ListedKey["state"] {
  if (key.cancelledAtNumber !== undefined) return "cancelled";
  if (!isLiveJoinKey(key)) return "used";
  return key.expiresAtMs !== 0 && nowMs >= key.expiresAtMs ? "expired" : "live";
}
