/** Versions in dotted numbers. */

/** Compares dotted numbers; anything after them (`rc1`) counts for nothing. */
export function isAtLeast(version: string, least: string): boolean {
  const numbers = (text: string) => text.split(".").map((part) => Number.parseInt(part, 10) || 0);
  const [own, needed] = [numbers(version), numbers(least)];
  for (let place = 0; place < Math.max(own.length, needed.length); place++) {
    const difference = (own[place] ?? 0) - (needed[place] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}
