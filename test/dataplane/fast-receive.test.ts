import { expect, test } from "bun:test";
import { closeFd, createEventFd, getSocketName, openBoundUdpSocket } from "bun-ffi-tun";
import { parseAddress } from "../../src/base/ip.ts";
import { NobleTransportCipher } from "../../src/crypto/transport-cipher-noble.ts";
import { FastReceive } from "../../src/dataplane/fast-receive.ts";
import { SharedTables } from "../../src/dataplane/shared-tables.ts";
import { endlessWork } from "./endless-work.ts";

const LOOPBACK = parseAddress("127.0.0.1")!;

test("a worker that can't go on lets go of its wire, and of what it did meanwhile", () => {
  const fd = openBoundUdpSocket({ family: 4 }, { address: LOOPBACK, port: 0 });
  const { port } = getSocketName(fd)!;
  const wakeFd = createEventFd();
  const idleWork = endlessWork(wakeFd);
  const receive = new FastReceive({
    tables: new SharedTables(),
    cipher: new NobleTransportCipher(),
    deviceFd: -1,
    wakeFd,
    takeCommand: () => {
      throw new Error("a fault of ours");
    },
    idleWork: idleWork.steps,
    report() {},
  });
  receive.setWire(fd);
  expect(() => receive.run()).toThrow("a fault of ours");
  expect(idleWork.isOver).toBe(true);
  // Its port is free again.
  const next = openBoundUdpSocket({ family: 4 }, { address: LOOPBACK, port });
  for (const each of [next, wakeFd]) closeFd(each);
});
