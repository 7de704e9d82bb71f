/** From where messages leave, and what becomes of them while the socket is full. */

import { describe, expect, test } from "bun:test";
import { boottimeMs, closeFd, createSocketPair, ERRNO, writeFd } from "bun-ffi-tun";
import { type Endpoint, formatAddress, parseAddress, parseEndpoint } from "../../src/base/ip.ts";
import { PeerNumber } from "../../src/dataplane/layout.ts";
import { PeerPaths } from "../../src/dataplane/peer-paths.ts";
import type { Routes } from "../../src/dataplane/routes.ts";
import { RunSender } from "../../src/dataplane/run-sender.ts";
import { peerNumbers, SharedTables } from "../../src/dataplane/shared-tables.ts";
import { TableWriter } from "../../src/dataplane/table-writer.ts";
import { until } from "../registry/until.ts";

const PEER = parseEndpoint("[2001:db8::7]:7")!;
const LOCAL = parseAddress("2001:db8::22")!;
const OTHER_LOCAL = parseAddress("2001:db8::23")!;
const [ETH, WLAN, LOOPBACK] = [2, 3, 1];

/** A wire to one peer, and what each send to it left from. */
class Machine implements Disposable {
  readonly tables = new SharedTables();
  readonly writer = new TableWriter(this.tables);
  readonly paths = new PeerPaths(this.tables, () => {});
  readonly kernel = {
    /** Answered to each send that names a source; 0 sends it. */
    sourceErrno: 0,
    isFull: false,
    sends: 0,
    /** By which interface packets leave, which has `LOCAL`, and how often that was asked. */
    interfaceTo: ETH as number | undefined,
    interfaceOf: ETH as number | undefined,
    asked: 0,
  };
  readonly runs: RunSender;
  readonly #otherFd: number;
  #sentFrom = "";

  constructor({ mayCut = true } = {}) {
    this.writer.addPeer(0);
    this.writer.setEndpoint(0, PEER);
    const { kernel } = this;
    let source: Uint8Array | undefined;
    const sender = {
      setSource: (address: Uint8Array | undefined) => {
        source = address;
      },
      send: (_fd: number, _address: number, lengthBytes: number) => {
        kernel.sends += 1;
        if (kernel.isFull) return -ERRNO.EAGAIN;
        if (kernel.sourceErrno !== 0 && source) return -kernel.sourceErrno;
        this.#sentFrom = source ? formatAddress(source) : "any";
        return lengthBytes;
      },
    };
    const routes: Routes = {
      setWire() {},
      interfaceTo: () => {
        kernel.asked += 1;
        return kernel.interfaceTo;
      },
      interfaceOf: () => kernel.interfaceOf,
    };
    this.runs = new RunSender({ tables: this.tables, mayCut, report: () => {}, sender, routes });
    const [wireFd, otherFd] = createSocketPair("datagram");
    this.#otherFd = otherFd;
    this.runs.setWire(wireFd);
    this.wireFd = wireFd;
  }

  readonly wireFd: number;

  /** Where a message to the peer left from. */
  send(): string {
    expect(this.runs.sendRun(0, 100, 100)).toBe(true);
    return this.#sentFrom;
  }

  /** Where an initiation to the peer left from. */
  initiate(endpoint: Endpoint = PEER): string {
    this.runs.sendDirect(new Uint8Array(148), endpoint, 0);
    return this.#sentFrom;
  }

  /** An authenticated packet of the peer has come to `local`. */
  hear(local: Uint8Array, from: Endpoint = PEER): void {
    this.tables.numbers[peerNumbers(0) + PeerNumber.lastReceivedMs] = boottimeMs() + 0.001;
    this.paths.note(0, { ...from, local });
  }

  changeNetwork(): void {
    this.runs.noteNetworkChange();
  }

  [Symbol.dispose](): void {
    this.runs.setWire(-1);
    closeFd(this.#otherFd);
  }
}

describe("messages leave from the address that the peer was heard at", () => {
  test("until the peer is elsewhere", () => {
    using machine = new Machine();
    expect(machine.send()).toBe("any");
    machine.hear(LOCAL);
    expect(machine.paths.isCurrent(0)).toBe(true);
    expect(machine.send()).toBe("2001:db8::22");
    // Past the tables, and back again.
    machine.runs.sendDirect(new Uint8Array(10), PEER);
    expect(machine.send()).toBe("2001:db8::22");
    machine.writer.setEndpoint(0, parseEndpoint("[2001:db8::8]:7")!);
    expect(machine.send()).toBe("any");
    machine.writer.setEndpoint(0, PEER);
    expect(machine.send()).toBe("2001:db8::22");
  });

  test("through changes of links, addresses and routes that have nothing to do with the peer", () => {
    using machine = new Machine();
    machine.hear(LOCAL);
    expect(machine.send()).toBe("2001:db8::22");
    for (let i = 0; i < 3; i++) {
      machine.changeNetwork();
      expect(machine.send()).toBe("2001:db8::22");
    }
    expect(machine.paths.isCurrent(0)).toBe(true);
  });

  test("not where they leave by another interface than its own, until they leave by that again", async () => {
    using machine = new Machine();
    machine.hear(LOCAL);
    expect(machine.send()).toBe("2001:db8::22");
    machine.kernel.interfaceTo = WLAN;
    machine.changeNetwork();
    expect(machine.send()).toBe("any");
    // A packet that was under way still comes to the old address.
    machine.writer.setPacketLimit(0, 1200);
    machine.hear(LOCAL);
    expect(machine.send()).toBe("any");
    machine.kernel.interfaceTo = ETH;
    machine.changeNetwork();
    await until("the address to be used again", () => machine.send() === "2001:db8::22");
  });

  test("by whichever interface, where it is of none that packets to the peer have left by", async () => {
    using machine = new Machine();
    machine.kernel.interfaceOf = LOOPBACK;
    machine.hear(LOCAL);
    expect(machine.send()).toBe("2001:db8::22");
    machine.kernel.interfaceTo = WLAN;
    machine.changeNetwork();
    expect(machine.send()).toBe("2001:db8::22");
    // The address is gone.
    machine.kernel.interfaceTo = undefined;
    machine.kernel.interfaceOf = undefined;
    machine.changeNetwork();
    await until("the address to be given up", () => machine.send() === "any");
  });

  test("where the kernel says nothing of routes", () => {
    using machine = new Machine();
    machine.kernel.interfaceTo = undefined;
    machine.hear(LOCAL);
    machine.changeNetwork();
    expect(machine.send()).toBe("2001:db8::22");
  });

  test("until the kernel refuses it, though nobody has told of a change", () => {
    using machine = new Machine();
    machine.hear(LOCAL);
    machine.kernel.sourceErrno = ERRNO.EINVAL;
    expect(machine.send()).toBe("any");
    machine.kernel.sourceErrno = 0;
    expect(machine.send()).toBe("any");
    machine.changeNetwork();
    expect(machine.send()).toBe("2001:db8::22");
  });

  test("after a failure that has nothing to do with it", () => {
    using machine = new Machine();
    machine.hear(LOCAL);
    machine.kernel.sourceErrno = ERRNO.EPERM;
    expect(machine.runs.sendRun(0, 100, 100)).toBe(false);
    machine.kernel.sourceErrno = 0;
    expect(machine.send()).toBe("2001:db8::22");
  });
});

describe("the kernel is asked about a peer's way once in a while", () => {
  /** How often it may have been asked since. */
  const most = (sinceMs: number) => 3 + (boottimeMs() - sinceMs) / 250;

  test("however often the network changes", () => {
    using machine = new Machine();
    machine.hear(LOCAL);
    const beginMs = boottimeMs();
    for (let i = 0; i < 10_000; i++) {
      machine.changeNetwork();
      machine.send();
    }
    expect(machine.kernel.asked).toBeLessThanOrEqual(most(beginMs));
  });

  test("however often the peer is heard at or from another address; it is answered from there at once", () => {
    using machine = new Machine();
    const places: [Uint8Array, Endpoint][] = [
      [LOCAL, PEER],
      [LOCAL, parseEndpoint("[2001:db8::8]:7")!],
      [OTHER_LOCAL, PEER],
    ];
    const beginMs = boottimeMs();
    for (let i = 0; i < 4000; i++) {
      const [local, from] = places[i % places.length]!;
      machine.hear(local, from);
      expect(machine.send()).toBe(formatAddress(local));
    }
    expect(machine.kernel.asked).toBeLessThanOrEqual(most(beginMs));
  });

  test("also of the address where the peer stays in the end: it is given up like any other", async () => {
    using machine = new Machine();
    for (const local of [LOCAL, OTHER_LOCAL, LOCAL]) {
      machine.hear(local);
      machine.send();
    }
    await until("the kernel to be asked", () => machine.send() === formatAddress(LOCAL) && machine.kernel.asked === 3);
    machine.kernel.interfaceTo = WLAN;
    machine.changeNetwork();
    await until("the address to be given up", () => machine.send() === "any");
  });
});

describe("an initiation", () => {
  test("leaves from the address that the peer talks to, where it goes to the peer's endpoint", () => {
    using machine = new Machine();
    expect(machine.initiate()).toBe("any");
    machine.hear(LOCAL);
    expect(machine.initiate()).toBe("2001:db8::22");
    expect(machine.initiate(parseEndpoint("[2001:db8::8]:7")!)).toBe("any");
    machine.hear(LOCAL);
    expect(machine.initiate()).toBe("2001:db8::22");
  });

  test("that nobody answers is not repeated from there, nor does anything else leave from there until the peer is heard", () => {
    using machine = new Machine();
    machine.hear(LOCAL);
    expect(machine.initiate()).toBe("2001:db8::22");
    expect(machine.send()).toBe("2001:db8::22");
    expect(machine.initiate()).toBe("any");
    expect(machine.send()).toBe("any");
    machine.changeNetwork();
    expect(machine.send()).toBe("any");
    machine.hear(LOCAL);
    expect(machine.send()).toBe("2001:db8::22");
  });
});

describe("while the socket is full", () => {
  /** Fills the socket too, so that there is nothing to wait for. */
  function fullMachine(): Machine {
    const machine = new Machine({ mayCut: false });
    machine.kernel.isFull = true;
    const junk = new Uint8Array(2000);
    while (writeFd(machine.wireFd, junk, junk.length) > 0);
    return machine;
  }

  test("a turn waits once in vain, and counts what it drops", () => {
    using machine = fullMachine();
    const { runs, kernel } = machine;
    runs.beginTurn();
    expect(runs.hasWaited).toBe(false);
    const beginMs = boottimeMs();
    for (let run = 0; run < 20; run++) expect(runs.sendRun(0, 45 * 1452, 1452)).toBe(false);
    const tookMs = boottimeMs() - beginMs;
    expect(runs.hasWaited).toBe(true);
    // One wait is 5 ms; 900 of them would be 4500.
    expect(tookMs).toBeLessThan(500);
    expect(kernel.sends).toBe(20 * 45);
    expect(machine.tables.readCounter("txWireRefused")).toBe(20 * 45);
  });

  test("the next turn waits again", () => {
    using machine = fullMachine();
    const { runs } = machine;
    for (let turn = 0; turn < 3; turn++) {
      runs.beginTurn();
      const beginMs = boottimeMs();
      expect(runs.sendRun(0, 100, 100)).toBe(false);
      expect(boottimeMs() - beginMs).toBeGreaterThan(4);
    }
  });
});
