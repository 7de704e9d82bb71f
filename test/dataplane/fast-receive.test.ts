import { expect, test } from "bun:test";
import { closeFd, createEventFd, getSocketName, openBoundUdpSocket, signalEventFd } from "bun-ffi-tun";
import { parseAddress } from "../../src/base/ip.ts";
import { NobleTransportCipher } from "../../src/crypto/transport-cipher-noble.ts";
import { FastReceive } from "../../src/dataplane/fast-receive.ts";
import { SharedTables } from "../../src/dataplane/shared-tables.ts";

const LOOPBACK = parseAddress("127.0.0.1")!;

test("a worker that can't go on lets go of its wire, and of what it did meanwhile", () => {
  const fd = openBoundUdpSocket({ family: 4 }, { address: LOOPBACK, port: 0 });
  const { port } = getSocketName(fd)!;
  const wakeFd = createEventFd();
  let isIdleWorkOver = false;
  function* idleWork(): Generator<undefined, void> {
    try {
      for (;;) {
        signalEventFd(wakeFd);
        yield;
      }
    } finally {
      isIdleWorkOver = true;
    }
  }
  const receive = new FastReceive({
    tables: new SharedTables(),
    cipher: new NobleTransportCipher(),
    deviceFd: -1,
    wakeFd,
    takeCommand: () => {
      throw new Error("a fault of ours");
    },
    idleWork: idleWork(),
    report() {},
  });
  receive.setWire(fd);
  expect(() => receive.run()).toThrow("a fault of ours");
  expect(isIdleWorkOver).toBe(true);
  // Its port is free again.
  const next = openBoundUdpSocket({ family: 4 }, { address: LOOPBACK, port });
  for (const each of [next, wakeFd]) closeFd(each);
});
