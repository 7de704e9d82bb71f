import { expect, test } from "bun:test";
import { closeFd, createSocketPair, ERRNO } from "bun-ffi-tun";
import { formatAddress, parseAddress, parseEndpoint } from "../../src/base/ip.ts";
import { HeaderWord } from "../../src/dataplane/layout.ts";
import { PeerPaths } from "../../src/dataplane/peer-paths.ts";
import { RunSender } from "../../src/dataplane/run-sender.ts";
import { SharedTables } from "../../src/dataplane/shared-tables.ts";
import { TableWriter } from "../../src/dataplane/table-writer.ts";

const PEER = parseEndpoint("[2001:db8::7]:7")!;
const LOCAL = parseAddress("2001:db8::22")!;

/** A wire to one peer, and what each send to it left from. */
function makeSender() {
  const tables = new SharedTables();
  const writer = new TableWriter(tables);
  writer.addPeer(0);
  writer.setEndpoint(0, PEER);
  const paths = new PeerPaths(tables, () => {});
  const sentFrom: string[] = [];
  let source: Uint8Array | undefined;
  const kernel = { refusesSource: false, errno: ERRNO.EINVAL as number };
  const sender = {
    setSource: (address: Uint8Array | undefined) => {
      source = address;
    },
    send: (_fd: number, _address: number, lengthBytes: number) => {
      if (kernel.refusesSource && source) return -kernel.errno;
      sentFrom.push(source ? formatAddress(source) : "any");
      return lengthBytes;
    },
  };
  const runs = new RunSender({ tables, mayCut: true, report: () => {}, sender });
  const [wireFd, otherFd] = createSocketPair("datagram");
  runs.setWire(wireFd);
  const send = () => {
    expect(runs.sendRun(0, 100, 100)).toBe(true);
    return sentFrom.at(-1);
  };
  const close = () => {
    runs.setWire(-1);
    closeFd(otherFd);
  };
  return { tables, writer, paths, runs, kernel, send, close };
}

test("messages leave from the address that the peer was heard at, until something about it changes", () => {
  const { tables, writer, paths, runs, kernel, send, close } = makeSender();
  expect(send()).toBe("any");
  paths.note(0, { ...PEER, local: LOCAL });
  expect(paths.isCurrent(0)).toBe(true);
  expect(send()).toBe("2001:db8::22");
  // Past the tables, and back again.
  runs.sendDirect(new Uint8Array(10), PEER);
  expect(send()).toBe("2001:db8::22");

  // The kernel's addresses or routes are others now: what was heard before says nothing about them.
  Atomics.add(tables.words, HeaderWord.networkVersion, 1);
  expect(send()).toBe("any");
  expect(paths.isCurrent(0)).toBe(false);
  paths.note(0, { ...PEER, local: LOCAL });
  expect(send()).toBe("2001:db8::22");

  // The peer is elsewhere.
  writer.setEndpoint(0, parseEndpoint("[2001:db8::8]:7")!);
  expect(send()).toBe("any");
  writer.setEndpoint(0, PEER);
  expect(send()).toBe("2001:db8::22");

  // Nobody has told that the address is gone.
  kernel.refusesSource = true;
  expect(send()).toBe("any");
  kernel.refusesSource = false;
  expect(send()).toBe("any");
  close();
});

test("a failure that has nothing to do with the address leaves it as it is", () => {
  const { paths, kernel, runs, send, close } = makeSender();
  paths.note(0, { ...PEER, local: LOCAL });
  kernel.refusesSource = true;
  kernel.errno = ERRNO.EPERM;
  expect(runs.sendRun(0, 100, 100)).toBe(false);
  kernel.refusesSource = false;
  expect(send()).toBe("2001:db8::22");
  close();
});
