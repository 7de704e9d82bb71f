import { describe, expect, test } from "bun:test";
import {
  allocateStable,
  bindSocket,
  closeFd,
  connectSocket,
  createEventFd,
  createUdpSocket,
  ERRNO,
  encodeSockaddr,
  getSocketName,
  getSocketOption,
  IP_MTU_DISCOVER,
  IP_PMTUDISC_PROBE,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  isCloseOnExec,
  isNonBlocking,
  PollSet,
  readFd,
  SO_BINDTODEVICE,
  SO_MARK,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SOL_SOCKET,
  sendTo,
  setSocketOption,
} from "../src/index.ts";
import { inNewNetwork } from "./network.ts";

const LOOPBACK_4 = Uint8Array.of(127, 0, 0, 1);
const LOOPBACK_6 = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);

/** Holds a sockaddr at an address. */
function stableSockaddr(address: Uint8Array, port: number) {
  const sockaddr = encodeSockaddr({ address, port });
  const memory = allocateStable(sockaddr.length);
  memory.bytes.set(sockaddr);
  return memory;
}

describe("UDP sockets", () => {
  test.each([
    [4, LOOPBACK_4],
    [6, LOOPBACK_6],
  ] as const)("send and receive over IPv%i", (family, address) => {
    const [sender, receiver] = [createUdpSocket({ family }), createUdpSocket({ family })];
    expect([isNonBlocking(sender), isCloseOnExec(sender)]).toEqual([true, true]);
    bindSocket(receiver, { address, port: 0 });
    const name = getSocketName(receiver)!;
    expect(name.address).toEqual(address);
    expect(name.port).toBeGreaterThan(0);
    const to = stableSockaddr(address, name.port);
    const data = allocateStable(100);
    data.bytes.set([1, 2, 3]);
    expect(sendTo(sender, data.address, 3, to.address, to.bytes.length)).toBe(3);
    const polls = new PollSet();
    polls.add(receiver);
    expect(polls.wait(1000)).toBe(1);
    expect(readFd(receiver, data.address + 50, 50)).toBe(3);
    expect([...data.bytes.subarray(50, 54)]).toEqual([1, 2, 3, 0]);
    expect(to.bytes[0]).toBe(family === 4 ? 2 : 10);
    closeFd(sender);
    closeFd(receiver);
  });

  test("failures to send are negated errnos", () => {
    const fd = createUdpSocket({ family: 4 });
    const data = allocateStable(70_000);
    const to = stableSockaddr(LOOPBACK_4, 9);
    expect(sendTo(fd, data.address, 65_508, to.address, to.bytes.length)).toBe(-ERRNO.EMSGSIZE);
    expect(sendTo(fd, data.address, 1, 0, 0)).toBe(-ERRNO.EDESTADDRREQ);
    closeFd(fd);
    expect(sendTo(fd, data.address, 1, to.address, to.bytes.length)).toBe(-ERRNO.EBADF);
  });

  test("a connected socket needs no address and hears of ICMP errors", () => {
    const closed = createUdpSocket({ family: 4 });
    bindSocket(closed, { address: LOOPBACK_4, port: 0 });
    const { port } = getSocketName(closed)!;
    closeFd(closed);
    const fd = createUdpSocket({ family: 4 });
    connectSocket(fd, { address: LOOPBACK_4, port });
    const data = allocateStable(8);
    expect(sendTo(fd, data.address, 8, 0, 0)).toBe(8);
    const polls = new PollSet();
    polls.add(fd);
    expect(polls.wait(1000)).toBe(1);
    expect(readFd(fd, data.address, 8)).toBe(-ERRNO.ECONNREFUSED);
    closeFd(fd);
  });

  test("a port that is taken is an error that names it, unless both share it", () => {
    const first = createUdpSocket({ family: 4, reusePort: true });
    bindSocket(first, { address: LOOPBACK_4, port: 0 });
    const { port } = getSocketName(first)!;
    const second = createUdpSocket({ family: 4 });
    expect(() => bindSocket(second, { address: LOOPBACK_4, port })).toThrow(
      `cannot bind to 127.0.0.1:${port}: address already in use (EADDRINUSE)`,
    );
    const third = createUdpSocket({ family: 4, reusePort: true });
    bindSocket(third, { address: LOOPBACK_4, port });
    expect(getSocketName(third)!.port).toBe(port);
    [first, second, third].forEach(closeFd);
  });

  test("an address that is not ours is an error that names it", () => {
    const fd = createUdpSocket({ family: 6 });
    const address = Uint8Array.fromHex("20010db8000000000000000000000001");
    expect(() => bindSocket(fd, { address, port: 53 })).toThrow("cannot bind to [2001:db8::1]:53: ");
    closeFd(fd);
  });

  test("IPv6 alone leaves the port free for IPv4; both together do not", () => {
    const any6 = new Uint8Array(16);
    const any4 = new Uint8Array(4);
    for (const v6Only of [true, false]) {
      const six = createUdpSocket({ family: 6, v6Only });
      expect(getSocketOption(six, IPPROTO_IPV6, IPV6_V6ONLY)).toBe(v6Only ? 1 : 0);
      bindSocket(six, { address: any6, port: 0 });
      const four = createUdpSocket({ family: 4 });
      const bindFour = () => bindSocket(four, { address: any4, port: getSocketName(six)!.port });
      if (v6Only) {
        bindFour();
      } else {
        expect(bindFour).toThrow("EADDRINUSE");
      }
      closeFd(six);
      closeFd(four);
    }
  });

  test("a descriptor that is no socket is an error; another kind of socket has no endpoint", () => {
    const fd = createEventFd();
    expect(() => getSocketName(fd)).toThrow("ENOTSOCK");
    expect(() => bindSocket(fd, { address: LOOPBACK_4, port: 0 })).toThrow("ENOTSOCK");
    closeFd(fd);
  });
});

test("options by number and by bytes", () => {
  inNewNetwork(() => {
    const fd = createUdpSocket({ family: 4 });
    setSocketOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, 7 << 20);
    setSocketOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, 7 << 20);
    expect(getSocketOption(fd, SOL_SOCKET, SO_RCVBUF)).toBe(14 << 20);
    expect(getSocketOption(fd, SOL_SOCKET, SO_SNDBUF)).toBe(14 << 20);
    setSocketOption(fd, SOL_SOCKET, SO_MARK, 0x6d74);
    expect(getSocketOption(fd, SOL_SOCKET, SO_MARK)).toBe(0x6d74);
    setSocketOption(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
    expect(getSocketOption(fd, IPPROTO_IP, IP_MTU_DISCOVER)).toBe(IP_PMTUDISC_PROBE);
    setSocketOption(fd, SOL_SOCKET, SO_BINDTODEVICE, new TextEncoder().encode("lo"));
    expect(() => setSocketOption(fd, SOL_SOCKET, SO_BINDTODEVICE, new TextEncoder().encode("none"))).toThrow("ENODEV");
    expect(() => setSocketOption(fd, SOL_SOCKET, 9999, 1)).toThrow("ENOPROTOOPT");
    expect(() => getSocketOption(fd, SOL_SOCKET, 9999)).toThrow("ENOPROTOOPT");
    closeFd(fd);
  });
});
