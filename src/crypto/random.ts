/** Randomness of the operating system. Machines take a `RandomSource`, so that tests can replay them. */

/** Answers `lengthBytes` fresh random bytes. */
export type RandomSource = (lengthBytes: number) => Uint8Array;

export const systemRandom: RandomSource = (lengthBytes) => crypto.getRandomValues(new Uint8Array(lengthBytes));
