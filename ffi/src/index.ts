/** Linux networking from Bun. README.md lists what is there; each file begins with what it is. */

export * from "./errno.ts";
export * from "./fd.ts";
export * from "./libc.ts";
