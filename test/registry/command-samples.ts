/** Random commands of the embedded server's whitelist, well and badly formed, from a kept seed. */

import fc from "fast-check";

const key = fc.constantFrom("a", "b", "c", "d");
const text = fc.constantFrom("", "x", "é", "7", "-3", "007", "9223372036854775808", " 1", "OK");
const integer = fc.oneof(
  fc.integer({ min: -6, max: 6 }).map(String),
  fc.constantFrom("01", "+1", "1.5", "x", "", "-0"),
);
const field = fc.constantFrom("f", "g", "");
const streamId = fc.oneof(
  fc.tuple(fc.nat(9), fc.nat(3)).map(([ms, sequence]) => `${ms}-${sequence}`),
  fc.constantFrom("0-0", "5", "x", "1-", "-", "+"),
);
const bound = fc.oneof(
  streamId,
  streamId.map((id) => `(${id}`),
  fc.constantFrom("-", "+"),
);
const many = <T>(item: fc.Arbitrary<T>) => fc.array(item, { maxLength: 5 });

/** The name in any case, followed by what the parts make. */
function command(name: string, ...parts: fc.Arbitrary<string | string[]>[]): fc.Arbitrary<[string, ...string[]]> {
  const anyCase = fc.constantFrom(name, name.toUpperCase());
  return fc.tuple(anyCase, ...parts).map(([first, ...rest]) => [first as string, ...rest.flat()]);
}

const setOption = fc.constantFrom(
  ["NX"],
  ["xx"],
  ["GET"],
  ["KEEPTTL"],
  ["EX", "100"],
  ["px", "100000"],
  ["PX", "0"],
  ["EX"],
  ["what"],
);

const anyCommand = fc.oneof(
  command("get", key),
  command("set", key, text),
  command(
    "set",
    key,
    text,
    fc.array(setOption, { maxLength: 2 }).map((options) => options.flat()),
  ),
  command("rpush", key, many(text)),
  command("llen", key),
  command("lrange", key, integer, integer),
  command("hset", key, many(fc.oneof(field, text))),
  command("hget", key, field),
  command("hmget", key, many(field)),
  command("hgetall", key),
  command("hdel", key, many(field)),
  command("xadd", key, streamId, field, text),
  command(
    "xadd",
    key,
    fc.constantFrom(["MAXLEN", "2"], ["maxlen", "=", "1"], ["MAXLEN", "-1"], ["NOMKSTREAM"]),
    streamId,
    field,
    text,
  ),
  command("xadd", key, streamId, many(field)),
  command("xrange", key, bound, bound),
  command("xrange", key, bound, bound, fc.constant("COUNT"), integer),
  command("del", many(key)),
  command("del", key),
  command("ping", many(text)),
  command("publish", key, text),
  command("get", many(key)),
);

export function commandSamples(seed: number, count: number): [string, ...string[]][] {
  return fc.sample(anyCommand, { seed, numRuns: count });
}
