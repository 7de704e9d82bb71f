import { describe, expect, test } from "bun:test";
import { closeFd, createEventFd, createSocketPair, writeFd } from "bun-ffi-tun";
import { blake2s, blake2sMac } from "../../src/crypto/blake2s.ts";
import { withBatches } from "../../src/crypto/transport-cipher-loop.ts";
import { NobleTransportCipher } from "../../src/crypto/transport-cipher-noble.ts";
import type { DataPlaneEvent } from "../../src/dataplane/event.ts";
import { FastReceive } from "../../src/dataplane/fast-receive.ts";
import {
  HandoverGate,
  MAXIMUM_COOKIE_REPLIES_WAITING,
  MAXIMUM_HANDOVERS_WAITING,
} from "../../src/dataplane/handover-gate.ts";
import { HeaderWord } from "../../src/dataplane/layout.ts";
import { SharedTables } from "../../src/dataplane/shared-tables.ts";
import { TableWriter } from "../../src/dataplane/table-writer.ts";
import {
  COOKIE_REPLY_LENGTH_BYTES,
  INITIATION_LENGTH_BYTES,
  MESSAGE_COOKIE_REPLY,
  MESSAGE_INITIATION,
  MESSAGE_RESPONSE,
  mac1Offset,
  RESPONSE_LENGTH_BYTES,
} from "../../src/wire/wireguard.ts";

const KEY = blake2s(new TextEncoder().encode("mac1----"), new Uint8Array(32).fill(7));

function message(type: number, lengthBytes: number, key: Uint8Array | undefined): Uint8Array {
  const bytes = new Uint8Array(lengthBytes).fill(type, 0, 1);
  if (key) bytes.set(blake2sMac(key, bytes.subarray(0, mac1Offset(bytes))), mac1Offset(bytes));
  return bytes;
}

const HONEST = message(MESSAGE_INITIATION, INITIATION_LENGTH_BYTES, KEY);
const JUNK = message(MESSAGE_INITIATION, INITIATION_LENGTH_BYTES, new Uint8Array(32));
const COOKIE_REPLY = message(MESSAGE_COOKIE_REPLY, COOKIE_REPLY_LENGTH_BYTES, undefined);

function makeGate() {
  const tables = new SharedTables();
  const writer = new TableWriter(tables);
  const gate = new HandoverGate(tables);
  return { tables, writer, admit: (bytes: Uint8Array) => gate.admitMessage(bytes, 0, bytes.length) };
}

describe("what is handed over to the main thread", () => {
  test("are whole handshake messages made for this machine's key, and nothing else", () => {
    const { tables, writer, admit } = makeGate();
    expect(admit(HONEST)).toBe(false);
    writer.setMac1Key(KEY);
    expect(admit(HONEST)).toBe(true);
    expect(admit(message(MESSAGE_RESPONSE, RESPONSE_LENGTH_BYTES, KEY))).toBe(true);
    expect(admit(COOKIE_REPLY)).toBe(true);
    for (let i = 0; i < INITIATION_LENGTH_BYTES - 16; i++) {
      const changed = HONEST.slice();
      changed[i]! ^= 1;
      expect(admit(changed)).toBe(false);
    }
    expect(tables.readCounter("rxWrongMac1")).toBe(1 + INITIATION_LENGTH_BYTES - 16 - 1);
    const malformed = [new Uint8Array(0), HONEST.slice(1), HONEST.slice(0, -1), new Uint8Array(65_507).fill(1, 0, 1)];
    for (const type of [0, 5, 200]) malformed.push(HONEST.slice().fill(type, 0, 1));
    const before = tables.readCounter("rxMalformed");
    for (const bytes of malformed) expect(admit(bytes)).toBe(false);
    expect(tables.readCounter("rxMalformed")).toBe(before + malformed.length);
    writer.setMac1Key(undefined);
    expect(admit(HONEST)).toBe(false);
  });

  test("a flood of messages that only look like a handshake takes no place from an honest one", () => {
    const { tables, writer, admit } = makeGate();
    writer.setMac1Key(KEY);
    for (let i = 0; i < 2 * MAXIMUM_HANDOVERS_WAITING; i++) {
      admit(JUNK);
      admit(COOKIE_REPLY);
    }
    expect(tables.words[HeaderWord.cookieRepliesWaiting]).toBe(MAXIMUM_COOKIE_REPLIES_WAITING);
    expect(tables.words[HeaderWord.handoversWaiting]).toBe(0);
    expect(admit(HONEST)).toBe(true);
  });

  test("no more than fit, until the main thread takes some", () => {
    const { tables, writer, admit } = makeGate();
    writer.setMac1Key(KEY);
    for (let i = 0; i < MAXIMUM_HANDOVERS_WAITING; i++) expect(admit(HONEST)).toBe(true);
    expect(admit(HONEST)).toBe(false);
    expect(tables.readCounter("rxHandoversDropped")).toBe(1);
    writer.handoverTaken(false);
    expect(admit(HONEST)).toBe(true);
  });

  test("a handshake message without a source address, which nobody could answer, keeps no place", () => {
    const tables = new SharedTables();
    new TableWriter(tables).setMac1Key(KEY);
    const [deviceFd, outsideFd] = createSocketPair("datagram");
    const [wireFd, otherWireFd] = createSocketPair("datagram");
    const wakeFd = createEventFd();
    const events: DataPlaneEvent[] = [];
    const receive = new FastReceive({
      tables,
      cipher: withBatches(new NobleTransportCipher()),
      offloads: [],
      deviceFd,
      wakeFd,
      takeCommand: () => undefined,
      report: (event) => events.push(event),
    });
    receive.setWire(wireFd);
    for (let i = 0; i < 10; i++) {
      writeFd(otherWireFd, HONEST, HONEST.length);
      receive.takeMessages();
    }
    expect(events).toEqual([]);
    expect(tables.words[HeaderWord.handoversWaiting]).toBe(0);
    receive.setWire(-1);
    for (const fd of [deviceFd, outsideFd, otherWireFd, wakeFd]) closeFd(fd);
  });
});
