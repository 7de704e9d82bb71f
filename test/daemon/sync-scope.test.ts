/** What the channel says becomes one reading. */

import { describe, expect, test } from "bun:test";
import {
  MOST_BROUGHT,
  mergeScopes,
  type SyncScope,
  scopeOfMessage,
  WHOLE_SCOPE,
  WRITE_SCOPE,
} from "../../src/daemon/sync-scope.ts";
import { formatHint, parseHint } from "../../src/daemon/tailnet-keys.ts";
import { nodeIdOf } from "../../src/trust/identity.ts";

const idOf = (fill: number) => nodeIdOf(new Uint8Array(32).fill(fill));
const sealed = new Uint8Array(300).fill(7);

describe("hints", () => {
  test.each([["chain"], [`record ${idOf(1)}`], [formatHint({ kind: "record", nodeId: idOf(1), sealed })]])(
    "%p comes back",
    (text) => {
      expect(formatHint(parseHint(text)!)).toBe(text);
    },
  );

  test.each([
    [""],
    ["chains"],
    ["record"],
    ["record x"],
    [`record ${idOf(1)} 5`],
    [`record ${idOf(1)} `],
    [`record ${idOf(1)} AAAA AAAA`],
    [`record ${idOf(1)} ${"A".repeat(8000)}`],
    ["x".repeat(5000)],
  ])("%p may mean anything", (text) => {
    expect(parseHint(text)).toBeUndefined();
    expect(scopeOfMessage(text)).toEqual(WHOLE_SCOPE);
  });

  test("a record too large for a message is named in it, and read", () => {
    const text = formatHint({ kind: "record", nodeId: idOf(1), sealed: new Uint8Array(5000) });
    expect(text).toBe(`record ${idOf(1)}`);
    expect(scopeOfMessage(text)).toEqual({ ...WRITE_SCOPE, records: new Set([idOf(1)]) });
  });

  test("a record that is brought is not read", () => {
    const scope = scopeOfMessage(formatHint({ kind: "record", nodeId: idOf(1), sealed }));
    expect(scope).toEqual({ ...WRITE_SCOPE, brought: [[idOf(1), sealed]] });
  });
});

describe("scopes", () => {
  const records = { ...WRITE_SCOPE, records: new Set([idOf(1)]) };
  const brought = { ...WRITE_SCOPE, brought: [[idOf(2), sealed]] } satisfies SyncScope;

  test("add up", () => {
    expect(mergeScopes(undefined, records)).toBe(records);
    expect(mergeScopes(records, WHOLE_SCOPE)).toEqual(WHOLE_SCOPE);
    expect(mergeScopes(WHOLE_SCOPE, records)).toEqual(WHOLE_SCOPE);
    expect(mergeScopes(records, brought)).toEqual({ ...records, brought: brought.brought });
    expect(mergeScopes(brought, WHOLE_SCOPE)).toEqual({ ...WHOLE_SCOPE, brought: brought.brought });
  });

  test("two records that are brought as one machine's are both looked at: which is newer only their numbers say", () => {
    const other = { ...WRITE_SCOPE, brought: [[idOf(2), new Uint8Array(1)]] } satisfies SyncScope;
    expect(mergeScopes(brought, other).brought).toEqual([...brought.brought, ...other.brought]);
    expect(mergeScopes(other, brought).brought).toEqual([...other.brought, ...brought.brought]);
  });

  test("a flood of brought records is forgotten, and the log read", () => {
    let scope = brought as ReturnType<typeof scopeOfMessage>;
    for (let i = 0; i < MOST_BROUGHT; i++) {
      scope = mergeScopes(scope, { ...WRITE_SCOPE, brought: [[`${i}`, sealed]] });
    }
    expect(scope.brought).toEqual([]);
    expect(scope.records).toBe("changed");
  });
});
