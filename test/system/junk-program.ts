/**
 * Sends what is nothing of WireGuard's, or only looks like it, until it is ended: datagrams of all kinds and lengths, by
 * themselves and in runs that the receiving kernel may join. Arguments: address, port, seed.
 */

import {
  allocateStable,
  bindSocket,
  createUdpSocket,
  encodeSockaddr,
  getSocketName,
  MessageSender,
  PollSet,
} from "bun-ffi-tun";
import { parseAddress } from "../../src/base/ip.ts";

const [addressText, portText, seed] = process.argv.slice(2);
const LONGEST_BYTES = 1472;
const RUN_BYTES = 60_000;
const LENGTHS = [0, 1, 4, 15, 16, 31, 32, 33, 40, 47, 48, 64, 92, 148, LONGEST_BYTES];

let state = Number(seed) >>> 0;
/** 0 to `limit` - 1. */
function random(limit: number): number {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * limit);
}

const fd = createUdpSocket({ family: 4 });
bindSocket(fd, { address: new Uint8Array(4), port: 0 });
const sockaddr = allocateStable(32);
const encoded = encodeSockaddr({ address: parseAddress(addressText!)!, port: Number(portText) });
sockaddr.bytes.set(encoded);
const run = allocateStable(RUN_BYTES);
for (let i = 0; i < RUN_BYTES; i++) run.bytes[i] = random(256);
const sender = new MessageSender();
const breath = new PollSet();
console.log(getSocketName(fd)!.port);

for (;;) {
  const lengthBytes = random(2) === 0 ? LENGTHS[random(LENGTHS.length)]! : random(LONGEST_BYTES + 1);
  const messages = lengthBytes === 0 ? 1 : 1 + random(Math.min(40, Math.floor(RUN_BYTES / lengthBytes)));
  for (let i = 0; i < messages; i++) {
    const at = i * lengthBytes;
    // Mostly transport data, of any session, with small counters and with great ones.
    run.bytes.set([random(4) === 0 ? random(6) : 4, 0, 0, random(50) === 0 ? 1 : 0], at);
    for (let j = 4; j < 16; j++) run.bytes[at + j] = j < 11 || random(8) === 0 ? random(256) : 0;
    run.bytes[at + 6]! &= random(2) === 0 ? 1 : 255;
  }
  const shorter = lengthBytes === 0 || messages === 1 ? 0 : random(lengthBytes);
  sender.send(fd, run.address, messages * lengthBytes - shorter, sockaddr.address, encoded.length, lengthBytes);
  if (random(4) === 0) breath.wait(1);
}
