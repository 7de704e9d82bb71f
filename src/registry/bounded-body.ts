/** Bodies of requests and responses read up to a limit: the other side may send without end. */

/** All bytes of `body`; `undefined` when there are more than `limitBytes` (the rest is cancelled). */
export async function readBounded(
  body: ReadableStream<Uint8Array> | null,
  limitBytes: number,
): Promise<Uint8Array | undefined> {
  if (!body) return new Uint8Array(0);
  const parts: Uint8Array[] = [];
  let lengthBytes = 0;
  const reader = body.getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    lengthBytes += value.length;
    if (lengthBytes > limitBytes) {
      await reader.cancel().catch(() => {});
      return undefined;
    }
    parts.push(value);
  }
  return Buffer.concat(parts);
}
