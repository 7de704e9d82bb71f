/** Error replies in Redis's own words: clients compare their first word. */

/** Thrown by a command before it has changed anything; becomes its reply. The text never repeats a value. */
export class RedisError extends Error {
  override readonly name = "RedisError";
}

export const wrongType = () => new RedisError("WRONGTYPE Operation against a key holding the wrong kind of value");
export const notAnInteger = () => new RedisError("ERR value is not an integer or out of range");
export const syntaxError = () => new RedisError("ERR syntax error");
export const wrongArity = (name: string) => new RedisError(`ERR wrong number of arguments for '${name}' command`);
export const unknownCommand = (name: string) => new RedisError(`ERR unknown command '${printable(name)}'`);
export const invalidExpireTime = (name: string) => new RedisError(`ERR invalid expire time in '${name}' command`);
export const noToken = () => new RedisError("NOAUTH Authentication required.");
export const wrongToken = () => new RedisError("WRONGPASS invalid or missing auth token");
/** The client knows this one by its words (`registry-errors.ts`). */
export const readsOnly = () => new RedisError("NOPERM this token only reads: the registry has a newer one");
export const outOfMemory = () => new RedisError("OOM command not allowed when used memory > 'maxmemory'.");
export const limitExceeded = (what: string) => new RedisError(`ERR limit exceeded: ${what}`);

function printable(name: string): string {
  return name.slice(0, 32).replaceAll(/[^\x21-\x7e]/g, "?");
}
