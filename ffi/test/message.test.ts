import { describe, expect, test } from "bun:test";
import {
  allocateStable,
  bindSocket,
  closeFd,
  connectSocket,
  createSocketPair,
  createUdpSocket,
  ERRNO,
  encodeSockaddr,
  getSocketName,
  IP_PKTINFO,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPPROTO_UDP,
  IPV6_RECVPKTINFO,
  MessageReceiver,
  MessageSender,
  PollSet,
  SO_BROADCAST,
  SOL_SOCKET,
  type SocketEndpoint,
  setSocketOption,
  UDP_GRO,
  writeFd,
} from "../src/index.ts";
import { CMSGHDR_BYTES, controlSpace, IOVEC_BYTES, MSGHDR_BYTES } from "../src/message.ts";
import { inNewNetwork } from "./network.ts";

const LOOPBACK_4 = Uint8Array.of(127, 0, 0, 1);
const LOOPBACK_6 = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
const LOOPBACK_INDEX = 1;

const outgoing = allocateStable(65_536);
const incoming = allocateStable(65_536);

function stableSockaddr(endpoint: SocketEndpoint) {
  const sockaddr = encodeSockaddr(endpoint);
  const memory = allocateStable(sockaddr.length);
  memory.bytes.set(sockaddr);
  return memory;
}

/** Two sockets on loopback, and the sockaddr of the second. */
function openPair(address: Uint8Array) {
  const family = address.length === 4 ? 4 : 6;
  const sending = createUdpSocket({ family });
  const receiving = createUdpSocket({ family });
  bindSocket(receiving, { address, port: 0 });
  const to = stableSockaddr(getSocketName(receiving)!);
  return { sending, receiving, to, close: () => [sending, receiving].forEach(closeFd) };
}

/** Waits for a datagram, then receives it into `incoming`. */
function receive(receiver: MessageReceiver, fd: number, lengthBytes = incoming.bytes.length): number {
  const polls = new PollSet();
  polls.add(fd);
  polls.wait(2000);
  return receiver.receive(fd, incoming.address, lengthBytes);
}

test("the structures have the kernel's sizes", () => {
  expect([MSGHDR_BYTES, IOVEC_BYTES, CMSGHDR_BYTES]).toEqual([56, 16, 16]);
  expect([0, 1, 2, 8, 12, 20].map(controlSpace)).toEqual([16, 24, 24, 24, 32, 40]);
});

describe.each([
  ["IPv4", LOOPBACK_4],
  ["IPv6", LOOPBACK_6],
] as const)("over %s", (_, address) => {
  test("one datagram goes and comes with its sender's address", () => {
    const { sending, receiving, to, close } = openPair(address);
    const [sender, receiver] = [new MessageSender(), new MessageReceiver()];
    outgoing.bytes.set([9, 8, 7]);
    expect(sender.send(sending, outgoing.address, 3, to.address, to.bytes.length)).toBe(3);
    expect(receive(receiver, receiving)).toBe(3);
    expect([...incoming.bytes.subarray(0, 3)]).toEqual([9, 8, 7]);
    expect(receiver.sourceEndpoint()).toEqual({ address, port: getSocketName(sending)!.port });
    expect(receiver).toMatchObject({ segmentBytes: 0, isTruncated: false, isControlTruncated: false });
    expect(receiver).toMatchObject({ localAddressBytes: 0, interfaceIndex: 0 });

    // The sockaddr that was received is good to answer with as it is.
    expect(sender.send(receiving, outgoing.address, 2, receiver.sourceAddress, receiver.sourceLengthBytes)).toBe(2);
    expect(receive(receiver, sending)).toBe(2);
    expect(receiver.receive(sending, incoming.address, 10)).toBe(-ERRNO.EAGAIN);
    close();
  });

  test("a large send is cut into datagrams, and received one by one", () => {
    inNewNetwork(() => {
      const { sending, receiving, to, close } = openPair(address);
      const [sender, receiver] = [new MessageSender(), new MessageReceiver()];
      outgoing.bytes.forEach((_, index) => {
        outgoing.bytes[index] = index / 1000;
      });
      expect(sender.send(sending, outgoing.address, 10_500, to.address, to.bytes.length, 1000)).toBe(10_500);
      for (let index = 0; index < 10; index += 1) {
        expect(receive(receiver, receiving)).toBe(1000);
        expect([incoming.bytes[0], incoming.bytes[999]]).toEqual([index, index]);
      }
      expect(receive(receiver, receiving)).toBe(500);
      // The next send is whole again, though the control area was used before.
      expect(sender.send(sending, outgoing.address, 5000, to.address, to.bytes.length)).toBe(5000);
      expect(receive(receiver, receiving)).toBe(5000);
      // A segment no smaller than the data is no cut.
      expect(sender.send(sending, outgoing.address, 5000, to.address, to.bytes.length, 5000)).toBe(5000);
      expect(receive(receiver, receiving)).toBe(5000);
      close();
    });
  });

  test("with UDP_GRO a run of datagrams is received as one, with its segment size", () => {
    inNewNetwork(() => {
      const { sending, receiving, to, close } = openPair(address);
      setSocketOption(receiving, IPPROTO_UDP, UDP_GRO, 1);
      const [sender, receiver] = [new MessageSender(), new MessageReceiver()];
      outgoing.bytes.fill(1);
      incoming.bytes.fill(0);
      const lengthBytes = 44 * 1452 + 700;
      expect(sender.send(sending, outgoing.address, lengthBytes, to.address, to.bytes.length, 1452)).toBe(lengthBytes);
      expect(receive(receiver, receiving)).toBe(lengthBytes);
      expect(receiver).toMatchObject({ segmentBytes: 1452, isTruncated: false, isControlTruncated: false });
      expect([incoming.bytes[0], incoming.bytes[lengthBytes - 1], incoming.bytes[lengthBytes]]).toEqual([1, 1, 0]);
      expect(sender.send(sending, outgoing.address, 100, to.address, to.bytes.length)).toBe(100);
      expect(receive(receiver, receiving)).toBe(100);
      expect(receiver.segmentBytes).toBe(0);
      close();
    });
  });

  test("the address that was asked is told, together with the segment size", () => {
    inNewNetwork(() => {
      const { sending, receiving, to, close } = openPair(address);
      setSocketOption(receiving, IPPROTO_UDP, UDP_GRO, 1);
      if (address.length === 4) {
        setSocketOption(receiving, IPPROTO_IP, IP_PKTINFO, 1);
      } else {
        setSocketOption(receiving, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
      }
      const [sender, receiver] = [new MessageSender(), new MessageReceiver()];
      expect(sender.send(sending, outgoing.address, 2500, to.address, to.bytes.length, 1000)).toBe(2500);
      expect(receive(receiver, receiving)).toBe(2500);
      expect(receiver).toMatchObject({ segmentBytes: 1000, isControlTruncated: false });
      expect(receiver).toMatchObject({ localAddressBytes: address.length, interfaceIndex: LOOPBACK_INDEX });
      expect(receiver.localAddress.subarray(0, address.length)).toEqual(address);
      close();
    });
  });

  test("more segments than the kernel takes are EINVAL or EMSGSIZE, and nothing is sent", () => {
    inNewNetwork(() => {
      const { sending, receiving, to, close } = openPair(address);
      const sender = new MessageSender();
      const result = sender.send(sending, outgoing.address, 60_000, to.address, to.bytes.length, 10);
      expect([-ERRNO.EINVAL, -ERRNO.EMSGSIZE]).toContain(result);
      expect(new MessageReceiver().receive(receiving, incoming.address, 10)).toBe(-ERRNO.EAGAIN);
      close();
    });
  });
});

test("a source that was set is where datagrams leave from, cut or not", () => {
  const { sending, receiving, to, close } = openPair(LOOPBACK_4);
  const [sender, receiver] = [new MessageSender(), new MessageReceiver()];
  const sourceOf = (segmentBytes: number) => {
    expect(sender.send(sending, outgoing.address, 100, to.address, to.bytes.length, segmentBytes)).toBe(100);
    let source: Uint8Array | undefined;
    for (let left = 100; left > 0; left -= segmentBytes || 100) {
      expect(receive(receiver, receiving)).toBe(segmentBytes || 100);
      source = receiver.sourceEndpoint()?.address;
    }
    return source;
  };
  sender.setSource(Uint8Array.of(127, 0, 0, 2));
  expect(sourceOf(0)).toEqual(Uint8Array.of(127, 0, 0, 2));
  expect(sourceOf(50)).toEqual(Uint8Array.of(127, 0, 0, 2));
  sender.setSource(Uint8Array.of(127, 0, 0, 3), LOOPBACK_INDEX);
  expect(sourceOf(50)).toEqual(Uint8Array.of(127, 0, 0, 3));
  sender.setSource(undefined);
  expect(sourceOf(50)).toEqual(LOOPBACK_4);
  expect(() => sender.setSource(new Uint8Array(5))).toThrow(RangeError);
  close();
});

test("a source on an IPv6 socket, for IPv6 and for IPv4 inside it", () => {
  inNewNetwork(() => {
    const sending = createUdpSocket({ family: 6, v6Only: false });
    const receiving = createUdpSocket({ family: 6, v6Only: false });
    setSocketOption(receiving, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    bindSocket(receiving, { address: new Uint8Array(16), port: 0 });
    const { port } = getSocketName(receiving)!;
    const [sender, receiver] = [new MessageSender(), new MessageReceiver()];
    const mapped = (last: number) => Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, last);
    for (const [source, address] of [
      [LOOPBACK_6, LOOPBACK_6],
      [mapped(2), mapped(1)],
    ] as const) {
      const to = stableSockaddr({ address, port });
      sender.setSource(source, LOOPBACK_INDEX);
      expect(sender.send(sending, outgoing.address, 10, to.address, to.bytes.length)).toBe(10);
      expect(receive(receiver, receiving)).toBe(10);
      expect(receiver.sourceEndpoint()?.address).toEqual(source);
      expect(receiver.localAddressBytes).toBe(16);
      expect(receiver.localAddress).toEqual(address);
    }
    closeFd(sending);
    closeFd(receiving);
  });
});

test("of a broadcast, the local address is the one to answer from", () => {
  inNewNetwork(() => {
    const [sending, receiving] = [createUdpSocket({ family: 4 }), createUdpSocket({ family: 4 })];
    setSocketOption(sending, SOL_SOCKET, SO_BROADCAST, 1);
    setSocketOption(receiving, IPPROTO_IP, IP_PKTINFO, 1);
    bindSocket(receiving, { address: new Uint8Array(4), port: 0 });
    const to = stableSockaddr({ address: Uint8Array.of(127, 255, 255, 255), port: getSocketName(receiving)!.port });
    const [sender, receiver] = [new MessageSender(), new MessageReceiver()];
    expect(sender.send(sending, outgoing.address, 10, to.address, to.bytes.length)).toBe(10);
    expect(receive(receiver, receiving)).toBe(10);
    expect(receiver.localAddress.subarray(0, receiver.localAddressBytes)).toEqual(LOOPBACK_4);
    closeFd(sending);
    closeFd(receiving);
  });
});

test("a datagram larger than the buffer is told to be truncated, and the next one is not", () => {
  const { sending, receiving, to, close } = openPair(LOOPBACK_4);
  const [sender, receiver] = [new MessageSender(), new MessageReceiver()];
  sender.send(sending, outgoing.address, 100, to.address, to.bytes.length);
  sender.send(sending, outgoing.address, 40, to.address, to.bytes.length);
  expect(receive(receiver, receiving, 40)).toBe(40);
  expect(receiver.isTruncated).toBe(true);
  expect(receive(receiver, receiving, 40)).toBe(40);
  expect(receiver.isTruncated).toBe(false);
  close();
});

test("an empty datagram is received as 0 bytes", () => {
  const { sending, receiving, to, close } = openPair(LOOPBACK_4);
  const receiver = new MessageReceiver();
  expect(new MessageSender().send(sending, outgoing.address, 0, to.address, to.bytes.length)).toBe(0);
  expect(receive(receiver, receiving)).toBe(0);
  expect(receiver.sourceEndpoint()?.port).toBe(getSocketName(sending)!.port);
  close();
});

test("connected sockets and pairs need no address", () => {
  const { sending, receiving, close } = openPair(LOOPBACK_4);
  connectSocket(sending, getSocketName(receiving)!);
  const [sender, receiver] = [new MessageSender(), new MessageReceiver()];
  expect(sender.send(sending, outgoing.address, 300, 0, 0, 100)).toBe(300);
  expect(receive(receiver, receiving)).toBe(100);
  close();

  const [left, right] = createSocketPair("datagram");
  writeFd(left, outgoing.address, 5);
  expect(receive(receiver, right)).toBe(5);
  expect(receiver.sourceEndpoint()).toBeUndefined();
  closeFd(left);
  expect(sender.send(right, outgoing.address, 5, 0, 0)).toBe(-ERRNO.ECONNREFUSED);
  closeFd(right);
});
