/** Linux networking from Bun. README.md lists what is there; each file begins with what it is. */

export * from "./capability.ts";
export * from "./clock.ts";
export * from "./errno.ts";
export * from "./eventfd.ts";
export * from "./fd.ts";
export * from "./file.ts";
export * from "./libc.ts";
export * from "./memfd.ts";
export * from "./memory.ts";
export * from "./message-receiver.ts";
export * from "./message-sender.ts";
export * from "./poll.ts";
export * from "./process.ts";
export * from "./sockaddr.ts";
export * from "./socket.ts";
export * from "./socket-constants.ts";
export * from "./socketpair.ts";
export * from "./tun.ts";
