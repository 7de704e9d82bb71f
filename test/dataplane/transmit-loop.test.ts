import { expect, test } from "bun:test";
import {
  closeFd,
  createEventFd,
  createSocketPair,
  createTimerFd,
  getSocketName,
  openBoundUdpSocket,
  writeFd,
} from "bun-ffi-tun";
import { parseAddress } from "../../src/base/ip.ts";
import { withBatches } from "../../src/crypto/transport-cipher-loop.ts";
import { NobleTransportCipher } from "../../src/crypto/transport-cipher-noble.ts";
import type { DataPlaneEvent } from "../../src/dataplane/event.ts";
import { FastTransmit } from "../../src/dataplane/fast-transmit.ts";
import { SharedTables } from "../../src/dataplane/shared-tables.ts";
import { runTransmitLoop, TransmitTurns } from "../../src/dataplane/transmit-loop.ts";
import { endlessWork } from "./endless-work.ts";

const LOOPBACK = parseAddress("127.0.0.1")!;

test("a worker that can't go on lets go of its wire, and of what it did meanwhile", async () => {
  const wireFd = openBoundUdpSocket({ family: 4 }, { address: LOOPBACK, port: 0 });
  const { port } = getSocketName(wireFd)!;
  const [deviceFd, outsideFd] = createSocketPair("datagram");
  const [wakeFd, timerFd] = [createEventFd(), createTimerFd()];
  const tables = new SharedTables();
  const way = new FastTransmit({ tables, cipher: withBatches(new NobleTransportCipher()), deviceFd, report() {} });
  way.setWire(wireFd);
  const idleWork = endlessWork(wakeFd);
  const running = runTransmitLoop(way, {
    deviceFd,
    wakeFd,
    monitorFd: -1,
    timerFd,
    takeCommand: () => {
      throw new Error("a fault of ours");
    },
    idleWork: idleWork.steps,
    report() {},
  });
  await expect(running).rejects.toThrow("a fault of ours");
  expect(idleWork.isOver).toBe(true);
  // Its port is free again.
  const next = openBoundUdpSocket({ family: 4 }, { address: LOOPBACK, port });
  for (const fd of [next, deviceFd, outsideFd, wakeFd, timerFd]) closeFd(fd);
});

test("a change of the network is told to the way, and to the main thread", () => {
  const [deviceFd, outsideFd] = createSocketPair("datagram");
  const [monitorFd, kernelFd] = createSocketPair("datagram");
  const wakeFd = createEventFd();
  const tables = new SharedTables();
  const way = new FastTransmit({ tables, cipher: withBatches(new NobleTransportCipher()), deviceFd, report() {} });
  let changes = 0;
  way.noteNetworkChange = () => {
    changes += 1;
  };
  const events: DataPlaneEvent[] = [];
  const report = (event: DataPlaneEvent) => void events.push(event);
  const turns = new TransmitTurns(way, { deviceFd, wakeFd, monitorFd, timerFd: -1, report });
  // Two notices that wait are one change.
  for (let notice = 0; notice < 2; notice++) writeFd(kernelFd, new Uint8Array(8), 8);
  expect([turns.next(0), turns.next(0)]).toEqual(["carried", "nothing"]);
  expect(changes).toBe(1);
  expect(events).toEqual([{ type: "network-changed" }]);
  for (const fd of [deviceFd, outsideFd, monitorFd, kernelFd, wakeFd]) closeFd(fd);
});
