/** What becomes of messages that the kernel refuses to cut: all are sent, one by one. */

import { type Pointer, toArrayBuffer } from "bun:ffi";
import { describe, expect, test } from "bun:test";
import { bindSocket, createUdpSocket, ERRNO } from "bun-ffi-tun";
import { parseAddress } from "../../src/base/ip.ts";
import type { DataPlaneEvent } from "../../src/dataplane/event.ts";
import { RunSender } from "../../src/dataplane/run-sender.ts";
import { SharedTables } from "../../src/dataplane/shared-tables.ts";
import { TableWriter } from "../../src/dataplane/table-writer.ts";

const [NEAR, FAR] = [0, 1];
const ADDRESS = parseAddress("127.0.0.1")!;

interface Sent {
  readonly text: string;
  readonly segmentBytes: number;
}

/** A sender whose kernel answers `refusal` to runs of these messages or longer ones. */
class Machine implements Disposable {
  readonly tables = new SharedTables();
  readonly writer = new TableWriter(this.tables);
  readonly events: DataPlaneEvent[] = [];
  readonly sent: Sent[] = [];
  refusal = 0;
  refusedFromBytes = 0;
  readonly sender: RunSender;

  constructor(mayCut = true) {
    for (const slot of [NEAR, FAR]) {
      this.writer.addPeer(slot);
      this.writer.setEndpoint(slot, { address: ADDRESS, port: slot + 1 });
    }
    const kernel = {
      setSource() {},
      send: (
        _fd: number,
        address: number,
        lengthBytes: number,
        _sockaddr: number,
        _sockaddrBytes: number,
        segmentBytes = 0,
      ) => {
        if (segmentBytes > 0 && this.refusal !== 0 && segmentBytes >= this.refusedFromBytes) return -this.refusal;
        const text = Buffer.from(toArrayBuffer(address as Pointer, 0, lengthBytes)).toString();
        this.sent.push({ text, segmentBytes });
        return lengthBytes;
      },
    };
    const report = (event: DataPlaneEvent) => void this.events.push(event);
    this.sender = new RunSender({ tables: this.tables, mayCut, report, sender: kernel });
    const fd = createUdpSocket({ family: 4 });
    bindSocket(fd, { address: ADDRESS, port: 0 });
    this.sender.setWire(fd);
  }

  /** Sends messages, all but the last of `strideBytes`, and answers what left. */
  send(slot: number, text: string, strideBytes: number): readonly Sent[] {
    this.sent.length = 0;
    this.sender.memory.bytes.set(Buffer.from(text));
    expect(this.sender.sendRun(slot, text.length, strideBytes)).toBe(true);
    return [...this.sent];
  }

  [Symbol.dispose](): void {
    this.sender.setWire(-1);
  }
}

const single = (text: string): Sent => ({ text, segmentBytes: 0 });
const run = (text: string, segmentBytes: number): Sent => ({ text, segmentBytes });

describe("a run of messages", () => {
  test("is cut by the kernel", () => {
    using machine = new Machine();
    expect(machine.send(NEAR, "aaabbbc", 3)).toEqual([run("aaabbbc", 3)]);
    expect(machine.send(NEAR, "aaa", 3)).toEqual([single("aaa")]);
    expect(machine.events).toEqual([]);
  });

  test("is sent one by one where that is switched off", () => {
    using machine = new Machine(false);
    expect(machine.send(NEAR, "aaabbbc", 3)).toEqual([single("aaa"), single("bbb"), single("c")]);
    expect(machine.events).toEqual([]);
  });

  test("is sent one by one where the way's device makes no checksums (EIO), from then on, to that peer alone", () => {
    using machine = new Machine();
    machine.refusal = ERRNO.EIO;
    expect(machine.send(NEAR, "aaabbbc", 3)).toEqual([single("aaa"), single("bbb"), single("c")]);
    expect(machine.events).toEqual([{ type: "offload-refused", offload: "udp-gso", errno: ERRNO.EIO, slot: NEAR }]);
    machine.refusal = 0;
    expect(machine.send(NEAR, "ab", 1)).toEqual([single("a"), single("b")]);
    expect(machine.send(FAR, "aaabbbc", 3)).toEqual([run("aaabbbc", 3)]);
    expect(machine.events).toHaveLength(1);
    // Another way to that peer is tried anew.
    machine.writer.setEndpoint(NEAR, { address: ADDRESS, port: 9 });
    expect(machine.send(NEAR, "ab", 1)).toEqual([run("ab", 1)]);
  });

  for (const errno of ["EINVAL", "EMSGSIZE"] as const) {
    test(`is sent one by one where its messages are larger than the path takes (${errno}); shorter ones are cut`, () => {
      using machine = new Machine();
      machine.refusal = ERRNO[errno];
      machine.refusedFromBytes = 3;
      expect(machine.send(NEAR, "aaabbbc", 3)).toEqual([single("aaa"), single("bbb"), single("c")]);
      expect(machine.send(NEAR, "aabb", 2)).toEqual([run("aabb", 2)]);
      expect(machine.send(NEAR, "aaaabbbb", 4)).toEqual([single("aaaa"), single("bbbb")]);
      expect(machine.events).toEqual([{ type: "path-narrow", slot: NEAR, errno: ERRNO[errno] }]);
      // The main thread has found that the path is another.
      machine.refusal = 0;
      machine.writer.setPacketLimit(NEAR, 1200);
      expect(machine.send(NEAR, "aaabbbc", 3)).toEqual([run("aaabbbc", 3)]);
    });
  }
});
