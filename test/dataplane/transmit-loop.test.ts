import { expect, test } from "bun:test";
import {
  closeFd,
  createEventFd,
  createSocketPair,
  createTimerFd,
  getSocketName,
  openBoundUdpSocket,
  signalEventFd,
} from "bun-ffi-tun";
import { parseAddress } from "../../src/base/ip.ts";
import { withBatches } from "../../src/crypto/transport-cipher-loop.ts";
import { NobleTransportCipher } from "../../src/crypto/transport-cipher-noble.ts";
import { FastTransmit } from "../../src/dataplane/fast-transmit.ts";
import { SharedTables } from "../../src/dataplane/shared-tables.ts";
import { runTransmitLoop } from "../../src/dataplane/transmit-loop.ts";

const LOOPBACK = parseAddress("127.0.0.1")!;

test("a worker that can't go on lets go of its wire, and of what it did meanwhile", async () => {
  const wireFd = openBoundUdpSocket({ family: 4 }, { address: LOOPBACK, port: 0 });
  const { port } = getSocketName(wireFd)!;
  const [deviceFd, outsideFd] = createSocketPair("datagram");
  const [wakeFd, timerFd] = [createEventFd(), createTimerFd()];
  const tables = new SharedTables();
  const way = new FastTransmit({ tables, cipher: withBatches(new NobleTransportCipher()), deviceFd, report() {} });
  way.setWire(wireFd);
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
  const running = runTransmitLoop(way, {
    tables,
    deviceFd,
    wakeFd,
    monitorFd: -1,
    timerFd,
    takeCommand: () => {
      throw new Error("a fault of ours");
    },
    idleWork: idleWork(),
    report() {},
  });
  await expect(running).rejects.toThrow("a fault of ours");
  expect(isIdleWorkOver).toBe(true);
  // Its port is free again.
  const next = openBoundUdpSocket({ family: 4 }, { address: LOOPBACK, port });
  for (const fd of [next, deviceFd, outsideFd, wakeFd, timerFd]) closeFd(fd);
});
