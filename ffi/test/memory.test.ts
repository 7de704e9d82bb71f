import { ptr, read } from "bun:ffi";
import { expect, test } from "bun:test";
import {
  allocateStable,
  closeFd,
  createSocketPair,
  MessageReceiver,
  MessageSender,
  PollSet,
  pin,
  unpin,
  writePointer,
} from "../src/index.ts";

test("memory stays where it is when views of it are made", () => {
  for (const lengthBytes of [1, 8, 28, 999, 1000, 1001, 65_536]) {
    const memory = allocateStable(lengthBytes);
    expect(memory.bytes.length).toBe(lengthBytes);
    expect(memory.address % 8).toBe(0);
    memory.bytes.subarray(0, 1)[0] = 7;
    new DataView(memory.bytes.buffer).setUint8(lengthBytes - 1, 9);
    Bun.gc(true);
    expect(ptr(memory.bytes) as number).toBe(memory.address);
    expect(read.u8(memory.address as never, lengthBytes - 1)).toBe(9);
  }
});

test("pinned memory lives by its address alone", () => {
  const addresses: number[] = [];
  const holders = Array.from({ length: 100 }, (_, index) => {
    const memory = pin(allocateStable(4096));
    memory.bytes.fill(index);
    addresses.push(memory.address);
    return new WeakRef(memory);
  });
  for (let round = 0; round < 20; round += 1) {
    allocateGarbage(100);
    Bun.gc(true);
  }
  for (const [index, address] of addresses.entries()) {
    expect(read.u8(address as never, 4095)).toBe(index);
    unpin(holders[index]!.deref()!);
  }
});

function allocateGarbage(count: number): number {
  let sum = 0;
  for (let index = 0; index < count; index += 1) {
    sum += new Uint8Array(new ArrayBuffer(4096)).fill(0xff)[index]!;
  }
  return sum;
}

test("the structures of a loop survive 800 MB of garbage and a hot compiler", () => {
  const [left, right] = createSocketPair("datagram");
  const polls = new PollSet();
  const index = polls.add(right);
  const sender = new MessageSender();
  const receiver = new MessageReceiver();
  const outgoing = allocateStable(64);
  const incoming = allocateStable(64);
  const failures: string[] = [];
  for (let round = 0; round < 20_000 && failures.length === 0; round += 1) {
    outgoing.bytes[0] = round;
    outgoing.bytes[63] = round >> 8;
    const sent = sender.send(left, outgoing.address, 64, 0, 0);
    const ready = polls.wait(1000);
    const received = receiver.receive(right, incoming.address, 64);
    if (sent !== 64 || ready !== 1 || (polls.revents(index) & 1) === 0 || received !== 64) {
      failures.push(`round ${round}: sent ${sent}, ready ${ready}, received ${received}`);
    }
    if (incoming.bytes[0] !== (round & 0xff) || incoming.bytes[63] !== round >> 8) {
      failures.push(`round ${round}: other bytes came than went`);
    }
    allocateGarbage(10);
    if (round % 1000 === 0) {
      Bun.gc(true);
    }
  }
  expect(failures).toEqual([]);
  closeFd(left);
  closeFd(right);
});

test("a pointer is written as 64 bits", () => {
  const words = new Uint32Array(4);
  writePointer(words, 2, 0x7ffc_1234_5678);
  expect([...words]).toEqual([0, 0, 0x1234_5678, 0x7ffc]);
  writePointer(words, 2, 0xffff_fff8);
  expect([...words]).toEqual([0, 0, 0xffff_fff8, 0]);
});
