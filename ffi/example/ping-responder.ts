/**
 * A network that exists only here: every address of 10.77.0.0/24 answers ping.
 *
 *     sudo bun example/ping-responder.ts &
 *     ping 10.77.0.99
 */

import {
  addAddress,
  allocateStable,
  changeLink,
  getLink,
  openNetlink,
  openTun,
  POLLERR,
  PollSet,
  readFd,
  writeFd,
} from "../src/index.ts";

const IPPROTO_ICMP = 1;
const IPV4_PROTOCOL = 9;
const IPV4_SOURCE = 12;
const IPV4_DESTINATION = 16;
const ECHO_REQUEST = 8;
const ECHO_REPLY = 0;

const tun = openTun({ name: "example%d" });
const netlink = openNetlink();
const index = getLink(netlink, tun.name)!.index;
addAddress(netlink, { linkIndex: index, address: Uint8Array.of(10, 77, 0, 1), lengthBits: 24 });
changeLink(netlink, index, { up: true });
netlink.close();

// The kernel writes to an address: it must be of memory that neither moves nor is collected.
const packet = allocateStable(65_536);
const { bytes } = packet;

/** Makes the echo request in `bytes` its own reply; false if it is none. */
function answerEcho(): boolean {
  const icmp = (bytes[0]! & 15) * 4;
  if (bytes[0]! >> 4 !== 4 || bytes[IPV4_PROTOCOL] !== IPPROTO_ICMP || bytes[icmp] !== ECHO_REQUEST) {
    return false;
  }
  for (let offset = 0; offset < 4; offset += 1) {
    const source = bytes[IPV4_SOURCE + offset]!;
    bytes[IPV4_SOURCE + offset] = bytes[IPV4_DESTINATION + offset]!;
    bytes[IPV4_DESTINATION + offset] = source;
  }
  bytes[icmp] = ECHO_REPLY;
  // The type fell by 8, so the checksum rises by as much, with the carry added below (RFC 1624).
  const checksum = bytes[icmp + 2]! * 256 + bytes[icmp + 3]! + ECHO_REQUEST * 256;
  const folded = (checksum & 0xffff) + (checksum >> 16);
  bytes[icmp + 2] = folded >> 8;
  bytes[icmp + 3] = folded & 0xff;
  return true;
}

console.log(`${tun.name}: every address of 10.77.0.0/24 answers ping; Ctrl-C ends it`);
const polls = new PollSet();
const tunIndex = polls.add(tun.fd);
while ((polls.revents(tunIndex) & POLLERR) === 0) {
  polls.wait(-1);
  for (let lengthBytes = readFd(tun.fd, packet.address, bytes.length); lengthBytes > 0; ) {
    if (answerEcho()) {
      writeFd(tun.fd, packet.address, lengthBytes);
    }
    lengthBytes = readFd(tun.fd, packet.address, bytes.length);
  }
}
