/**
 * Forty datagrams with two system calls: the kernel cuts one send into them (UDP_SEGMENT), and on the other side joins
 * them to one receive (UDP_GRO).
 *
 *     bun example/udp-batch.ts
 */

import {
  allocateStable,
  bindSocket,
  closeFd,
  createUdpSocket,
  encodeSockaddr,
  getSocketName,
  IPPROTO_UDP,
  MessageReceiver,
  MessageSender,
  PollSet,
  setSocketOption,
  UDP_GRO,
} from "../src/index.ts";

const SEGMENT_BYTES = 1200;
const LENGTH_BYTES = 40 * SEGMENT_BYTES;

const receiving = createUdpSocket({ family: 4 });
setSocketOption(receiving, IPPROTO_UDP, UDP_GRO, 1);
bindSocket(receiving, { address: Uint8Array.of(127, 0, 0, 1), port: 0 });

const sockaddr = encodeSockaddr(getSocketName(receiving)!);
const to = allocateStable(sockaddr.length);
to.bytes.set(sockaddr);

const sending = createUdpSocket({ family: 4 });
const sender = new MessageSender();
const outgoing = allocateStable(65_536);
const sent = sender.send(sending, outgoing.address, LENGTH_BYTES, to.address, to.bytes.length, SEGMENT_BYTES);
console.log(`sent ${sent} bytes`);

const polls = new PollSet();
polls.add(receiving);
const receiver = new MessageReceiver();
const incoming = allocateStable(65_536);
for (let total = 0; total < sent; ) {
  polls.wait(1000);
  const received = receiver.receive(receiving, incoming.address, incoming.bytes.length);
  if (received < 0) {
    break;
  }
  total += received;
  const count = Math.ceil(received / (receiver.segmentBytes || received));
  console.log(`received ${received} bytes: ${count} datagrams of ${receiver.segmentBytes || received} bytes`);
}
closeFd(sending);
closeFd(receiving);
