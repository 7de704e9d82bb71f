import { describe, expect, test } from "bun:test";
import { readdirSync, readlinkSync } from "node:fs";
import {
  allocateStable,
  bindSocket,
  closeFd,
  connectSocket,
  createUdpSocket,
  ERRNO,
  isNonBlocking,
  isSystemError,
  MessageReceiver,
  monotonicMs,
  openTun,
  POLLERR,
  POLLIN,
  PollSet,
  readFd,
  sendTo,
  setTunOffload,
  TUN_F_CSUM,
  TUN_F_TSO4,
  TUN_F_TSO6,
  tunNameOf,
  VNET_HEADER_BYTES,
  writeFd,
} from "../src/index.ts";
import { inNewNetwork, run } from "./network.ts";

const LOCAL = Uint8Array.of(10, 99, 0, 1);
const REMOTE = Uint8Array.of(10, 99, 0, 2);
const PORT = 4000;

const IP_HEADER_BYTES = 20;
const UDP_HEADER_BYTES = 8;
const VIRTIO_NET_HDR_F_NEEDS_CSUM = 1;

const buffer = allocateStable(70_000);

/** Sets up `name` with 10.99.0.1/24. */
function configure(name: string): void {
  run("ip", "link", "set", name, "up");
  run("ip", "addr", "add", "10.99.0.1/24", "dev", name);
}

/** Reads the next IPv4 packet, which begins at `start`, into `buffer`, and passes over what IPv6 says of itself. */
function readPacket(fd: number, start = 0): number {
  const polls = new PollSet();
  polls.add(fd);
  for (;;) {
    expect(polls.wait(2000)).toBe(1);
    const lengthBytes = readFd(fd, buffer.address, buffer.bytes.length);
    if (buffer.bytes[start]! >> 4 === 4) {
      return lengthBytes;
    }
  }
}

function sum16(bytes: Uint8Array, initial = 0): number {
  let sum = initial;
  for (let index = 0; index < bytes.length; index += 2) {
    sum += bytes[index]! * 256 + (bytes[index + 1] ?? 0);
  }
  while (sum > 0xffff) {
    sum = (sum & 0xffff) + (sum >>> 16);
  }
  return sum;
}

/** Exchanges addresses and ports of the IPv4 UDP packet at `offset`; the checksums, sums of the same, stay right. */
function turnAround(offset: number): void {
  const packet = buffer.bytes.subarray(offset);
  const addresses = packet.slice(12, 20);
  packet.set(addresses.subarray(4), 12);
  packet.set(addresses.subarray(0, 4), 16);
  const ports = packet.slice(20, 24);
  packet.set(ports.subarray(2), 20);
  packet.set(ports.subarray(0, 2), 22);
}

function codeOf(action: () => void): string {
  try {
    action();
  } catch (error) {
    return isSystemError(error) ? error.code : String(error);
  }
  return "none";
}

describe("a TUN device", () => {
  test.each([false, true])("carries a packet out and back (virtio header: %p)", (vnetHeader) => {
    inNewNetwork(() => {
      const { fd, name } = openTun({ name: "tun-test", vnetHeader });
      expect(name).toBe("tun-test");
      expect(tunNameOf(fd)).toBe("tun-test");
      expect(isNonBlocking(fd)).toBe(true);
      if (vnetHeader) {
        setTunOffload(fd, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6);
      }
      configure(name);

      const socket = createUdpSocket({ family: 4 });
      bindSocket(socket, { address: LOCAL, port: 0 });
      connectSocket(socket, { address: REMOTE, port: PORT });
      const payload = new TextEncoder().encode("through the tunnel");
      const data = allocateStable(100);
      data.bytes.set(payload);
      expect(sendTo(socket, data.address, payload.length, 0, 0)).toBe(payload.length);

      const start = vnetHeader ? VNET_HEADER_BYTES : 0;
      const packetBytes = IP_HEADER_BYTES + UDP_HEADER_BYTES + payload.length;
      expect(readPacket(fd, start)).toBe(start + packetBytes);
      const packet = buffer.bytes.subarray(start, start + packetBytes);
      expect(packet[0]).toBe(0x45);
      expect(packet.slice(12, 16)).toEqual(LOCAL);
      expect(packet.slice(16, 20)).toEqual(REMOTE);
      expect(packet.slice(IP_HEADER_BYTES + UDP_HEADER_BYTES)).toEqual(payload);

      // RFC 768: over pseudo header, header and data. With the offload it is left to us, and says so.
      const pseudoHeader = sum16(packet.subarray(12, 20)) + 17 + UDP_HEADER_BYTES + payload.length;
      const isComplete = sum16(packet.subarray(IP_HEADER_BYTES), pseudoHeader) === 0xffff;
      expect(isComplete).toBe(!vnetHeader);
      if (vnetHeader) {
        expect(buffer.bytes[0]! & VIRTIO_NET_HDR_F_NEEDS_CSUM).toBe(VIRTIO_NET_HDR_F_NEEDS_CSUM);
      }

      turnAround(start);
      expect(writeFd(fd, buffer.address, start + packetBytes)).toBe(start + packetBytes);
      const receiver = new MessageReceiver();
      const polls = new PollSet();
      polls.add(socket);
      expect(polls.wait(2000)).toBe(1);
      data.bytes.fill(0);
      expect(receiver.receive(socket, data.address, 100)).toBe(payload.length);
      expect(data.bytes.slice(0, payload.length)).toEqual(payload);
      expect(receiver.sourceEndpoint()).toEqual({ address: REMOTE, port: PORT });
      closeFd(socket);
      closeFd(fd);
    });
  });

  test("answers a real ping", async () => {
    let ping: Bun.Subprocess<"ignore", "pipe", "pipe"> | undefined;
    inNewNetwork(() => {
      const { fd, name } = openTun({ name: "tun-ping" });
      configure(name);
      ping = Bun.spawn(["ping", "-c", "3", "-i", "0.01", "-W", "2", "10.99.0.2"], { stdout: "pipe", stderr: "pipe" });
      for (let count = 0; count < 3; count += 1) {
        const lengthBytes = readPacket(fd);
        const packet = buffer.bytes.subarray(0, lengthBytes);
        expect(packet[9]).toBe(1);
        packet.copyWithin(12, 16, 20);
        packet.set(REMOTE, 12);
        packet.set(LOCAL, 16);
        // Echo request (8) to echo reply (0); its sum falls by 0x0800, so that the checksum rises by as much (RFC 1624).
        packet[IP_HEADER_BYTES] = 0;
        const checksum = sum16(packet.subarray(IP_HEADER_BYTES + 2, IP_HEADER_BYTES + 4), 0x0800);
        packet.set([checksum >> 8, checksum & 0xff], IP_HEADER_BYTES + 2);
        expect(writeFd(fd, buffer.address, lengthBytes)).toBe(lengthBytes);
      }
      closeFd(fd);
    });
    expect(await new Response(ping!.stdout).text()).toContain("3 received, 0% packet loss");
    expect(await ping!.exited).toBe(0);
  });

  test("with TSO a TCP stream crosses two of them in segments larger than the MTU", async () => {
    const lengthBytes = 2_000_000;
    const child = new URL("./child/tcp.ts", import.meta.url).pathname;
    const start = (...args: string[]) => Bun.spawn([process.execPath, child, ...args], { stdout: "pipe" });
    const openEnd = (address: string) => {
      const { fd, name } = openTun({ name: "tun-tso", vnetHeader: true });
      setTunOffload(fd, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6);
      run("ip", "link", "set", name, "up", "mtu", "1420");
      run("ip", "addr", "add", `${address}/24`, "dev", name);
      return fd;
    };
    const ends: { fd: number; child: ReturnType<typeof start> }[] = [];
    inNewNetwork(() => ends.push({ fd: openEnd("10.99.0.1"), child: start("server", "4000") }));
    inNewNetwork(() =>
      ends.push({ fd: openEnd("10.99.0.2"), child: start("client", "10.99.0.1", "4000", String(lengthBytes)) }),
    );
    const [server, client] = [ends[0]!, ends[1]!];
    const polls = new PollSet();
    polls.add(server.fd);
    polls.add(client.fd);
    let largestBytes = 0;
    const deadlineMs = monotonicMs() + 10_000;
    while (server.child.exitCode === null && monotonicMs() < deadlineMs) {
      polls.wait(10);
      for (const [from, to] of [
        [server.fd, client.fd],
        [client.fd, server.fd],
      ] as const) {
        for (let count = 0; count < 100; count += 1) {
          const readBytes = readFd(from, buffer.address, buffer.bytes.length);
          if (readBytes < 0) {
            break;
          }
          largestBytes = Math.max(largestBytes, readBytes);
          expect(writeFd(to, buffer.address, readBytes)).toBe(readBytes);
        }
      }
      await Bun.sleep(0);
    }
    client.child.kill();
    server.child.kill();
    const payload = new Uint8Array(lengthBytes).map((_, index) => index % 253);
    const sha256 = new Bun.CryptoHasher("sha256").update(payload).digest("hex");
    expect(JSON.parse(await new Response(server.child.stdout).text())).toEqual({ lengthBytes, sha256 });
    expect(largestBytes).toBeGreaterThan(10_000);
    closeFd(server.fd);
    closeFd(client.fd);
  });

  test("an offload that the kernel does not know is EINVAL", () => {
    inNewNetwork(() => {
      const { fd } = openTun({ name: "tun-offload", vnetHeader: true });
      expect(codeOf(() => setTunOffload(fd, TUN_F_CSUM | (1 << 30)))).toBe("EINVAL");
      setTunOffload(fd, 0);
      closeFd(fd);
    });
  });

  test("a descriptor with nothing to read answers EAGAIN; writing to an interface that is down is EIO, what is no packet EINVAL", () => {
    inNewNetwork(() => {
      const { fd, name } = openTun({ name: "tun-quiet" });
      expect(readFd(fd, buffer.address, 100)).toBe(-ERRNO.EAGAIN);
      const packet = new Uint8Array(20);
      packet[0] = 0x45;
      expect(writeFd(fd, packet, 20)).toBe(-ERRNO.EIO);
      configure(name);
      expect(writeFd(fd, packet, 20)).toBe(20);
      packet[0] = 0;
      expect(writeFd(fd, packet, 20)).toBe(-ERRNO.EINVAL);
      closeFd(fd);
    });
  });

  test("the kernel completes a name with %d, and tells a new one after a rename", () => {
    inNewNetwork(() => {
      const first = openTun({ name: "mesh%d" });
      const second = openTun({ name: "mesh%d", nonBlocking: false });
      expect([first.name, second.name]).toEqual(["mesh0", "mesh1"]);
      expect(isNonBlocking(second.fd)).toBe(false);
      run("ip", "link", "set", "mesh1", "name", "other");
      expect(tunNameOf(second.fd)).toBe("other");
      closeFd(first.fd);
      closeFd(second.fd);
    });
  });

  test("is gone with its descriptor", () => {
    inNewNetwork(() => {
      const { fd, name } = openTun({ name: "tun-brief" });
      expect(run("ip", "-o", "link")).toContain(name);
      closeFd(fd);
      expect(run("ip", "-o", "link")).not.toContain(name);
      closeFd(openTun({ name }).fd);
    });
  });

  test("a waiting reader is told when the interface is deleted", () => {
    inNewNetwork(() => {
      const { fd, name } = openTun({ name: "tun-deleted" });
      const polls = new PollSet();
      const index = polls.add(fd, POLLIN);
      expect(polls.wait(0)).toBe(0);
      run("ip", "link", "delete", name);
      expect(polls.wait(2000)).toBe(1);
      expect(polls.revents(index) & POLLERR).toBe(POLLERR);
      expect(readFd(fd, buffer.address, 100)).toBe(-ERRNO.EBADFD);
      expect(codeOf(() => tunNameOf(fd))).toBe("EBADFD");
      closeFd(fd);
    });
  });
});

describe("failures are typed", () => {
  test("no device file, no driver behind it, not a device", () => {
    expect(() => openTun({ name: "x", devicePath: "/no/such/tun" })).toThrow(
      "cannot open /no/such/tun: no such file or directory (ENOENT)",
    );
    expect(codeOf(() => openTun({ name: "x", devicePath: "/dev/null" }))).toBe("ENOTTY");
  });

  test("a name that is taken, by a TUN or anything else", () => {
    inNewNetwork(() => {
      const { fd, name } = openTun({ name: "taken" });
      expect(() => openTun({ name })).toThrow("cannot create the TUN device taken: device or resource busy (EBUSY)");
      expect(codeOf(() => openTun({ name, exclusive: false }))).toBe("EBUSY");
      expect(codeOf(() => openTun({ name: "lo" }))).toBe("EBUSY");
      expect(codeOf(() => openTun({ name: "lo", exclusive: false }))).toBe("EINVAL");
      closeFd(fd);
    });
  });

  test("a persistent TUN is taken over only on request", () => {
    inNewNetwork(() => {
      run("ip", "tuntap", "add", "dev", "kept", "mode", "tun");
      expect(codeOf(() => openTun({ name: "kept" }))).toBe("EBUSY");
      const { fd } = openTun({ name: "kept", exclusive: false });
      expect(tunNameOf(fd)).toBe("kept");
      closeFd(fd);
    });
  });

  test.each(["", "sixteen-letters!", "a/b", "a b", "..", "nul\0nul"])("%p is no name for an interface", (name) => {
    inNewNetwork(() => {
      expect(codeOf(() => openTun({ name }))).toBe("EINVAL");
    });
  });

  test("without CAP_NET_ADMIN", () => {
    const child = new URL("./child/no-capability.ts", import.meta.url).pathname;
    const output = run(
      "setpriv",
      "--inh-caps=-net_admin,-net_raw",
      "--bounding-set=-net_admin,-net_raw",
      process.execPath,
      child,
    );
    expect(JSON.parse(output)).toEqual({ capable: false, tun: "EPERM", mark: "EPERM", force: "EPERM" });
  });

  test("no descriptor is left open by a failure", () => {
    const countOpen = () =>
      readdirSync("/proc/self/fd").filter((fd) => {
        try {
          return readlinkSync(`/proc/self/fd/${fd}`) === "/dev/net/tun";
        } catch {
          return false;
        }
      }).length;
    inNewNetwork(() => {
      const before = countOpen();
      expect(codeOf(() => openTun({ name: "lo" }))).toBe("EBUSY");
      expect(countOpen()).toBe(before);
      const { fd } = openTun({ name: "open" });
      expect(countOpen()).toBe(before + 1);
      closeFd(fd);
    });
  });
});
