/** The peer API over TCP, on loopback: what an honest peer gets, and what one that is not. */

import { afterEach, describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { type Clock, systemClock } from "../../src/base/clock.ts";
import { parseAddress } from "../../src/base/ip.ts";
import { encodeFrame } from "../../src/daemon/peer-api/frame.ts";
import { MOST_CONNECTIONS_PER_PEER } from "../../src/daemon/peer-api/limits.ts";
import { callOverTcp } from "../../src/daemon/peer-api/tcp-call.ts";
import { startTcpServer, type TcpServer } from "../../src/daemon/peer-api/tcp-server.ts";
import type { AnswerRequest } from "../../src/daemon/peer-api/transport.ts";

const LOOPBACK = parseAddress("127.0.0.1")!;
const cleanUps: (() => void)[] = [];

afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp();
});

/** Its waits are so much shorter. */
function hasty(haste: number): Clock {
  return { ...systemClock, after: (delayMs, action) => systemClock.after(delayMs / haste, action) };
}

function serve(answer: AnswerRequest, options: { isMember?: boolean; clock?: Clock } = {}): TcpServer {
  const { isMember = true, clock = systemClock } = options;
  const server = startTcpServer({
    addresses: [LOOPBACK],
    port: 0,
    interfaceName: undefined,
    clock,
    isMember: () => isMember,
    answer,
  });
  cleanUps.push(() => server.stop());
  return server;
}

const echo: AnswerRequest = async (_caller, request) => request;

function raw(port: number): { readonly socket: Socket; readonly closed: Promise<void> } {
  const socket = connect({ host: "127.0.0.1", port });
  socket.on("error", () => {});
  socket.resume();
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  cleanUps.push(() => socket.destroy());
  return { socket, closed };
}

async function call(port: number, clock: Clock = systemClock) {
  const opened = await callOverTcp(LOOPBACK, port, clock);
  cleanUps.push(() => opened?.close());
  return opened;
}

describe("a peer", () => {
  test("gets an answer to each request, long ones too, and is known by its address", async () => {
    const callers: string[] = [];
    const server = serve(async (caller, request) => {
      callers.push(caller.join("."));
      return request.toReversed();
    });
    const opened = (await call(server.port))!;
    for (const lengthBytes of [1, 1000, 700_000]) {
      const request = Uint8Array.from({ length: lengthBytes }, (_, i) => i);
      expect(await opened.ask(request)).toEqual(request.toReversed());
    }
    expect(new Set(callers)).toEqual(new Set(["127.0.0.1"]));
  });

  test("is hung up on where there is no answer, and knows that at once", async () => {
    const server = serve(async () => undefined);
    const opened = (await call(server.port))!;
    expect(await opened.ask(new Uint8Array([1]))).toBeUndefined();
    expect(await opened.ask(new Uint8Array([1]))).toBeUndefined();
  });

  test("that does not listen is not reached", async () => {
    const server = serve(echo);
    server.stop();
    expect(await call(server.port)).toBeUndefined();
  });

  test("that takes a call and says nothing is given up", async () => {
    const server = serve(() => new Promise(() => {}));
    const opened = (await call(server.port, hasty(200)))!;
    expect(await opened.ask(new Uint8Array([1]))).toBeUndefined();
  });

  test.each([
    ["an answer without end", new Uint8Array([255, 255, 255, 255, 1])],
    ["two answers to one request", new Uint8Array([0, 0, 0, 1, 7, 0, 0, 0, 1, 7])],
    ["no frame", new Uint8Array([0, 0, 0, 0])],
  ])("that sends %s is hung up on", async (_what, bytes) => {
    const listener = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: (socket) => void socket.write(bytes), open() {}, close() {} },
    });
    cleanUps.push(() => listener.stop(true));
    const opened = (await call(listener.port))!;
    expect(await opened.ask(new Uint8Array([1]))).toBeUndefined();
  });
});

describe("a caller that is no honest peer", () => {
  test("and no member is hung up on before it says a word", async () => {
    let asked = 0;
    const server = serve(
      async () => {
        asked++;
        return undefined;
      },
      { isMember: false },
    );
    const { socket, closed } = raw(server.port);
    socket.write(encodeFrame(new Uint8Array([1])));
    await closed;
    expect(asked).toBe(0);
  });

  test("has two connections and no more, and another once one is closed", async () => {
    const server = serve(echo);
    const held = [];
    for (let i = 0; i < MOST_CONNECTIONS_PER_PEER; i++) {
      const opened = (await call(server.port))!;
      expect(await opened.ask(new Uint8Array([1]))).toEqual(new Uint8Array([1]));
      held.push(opened);
    }
    await raw(server.port).closed;
    held[0]!.close();
    for (;;) {
      const again = await call(server.port);
      if (await again?.ask(new Uint8Array([2]))) break;
    }
  });

  test("and dawdles with its request is hung up on", async () => {
    const server = serve(echo, { clock: hasty(100) });
    const { socket, closed } = raw(server.port);
    const dawdling = setInterval(() => socket.write(new Uint8Array([0])), 20);
    cleanUps.push(() => clearInterval(dawdling));
    socket.write(new Uint8Array([0, 0, 1, 0]));
    await closed;
  });

  test("and does not read what it asked for is hung up on", async () => {
    const server = serve(async () => new Uint8Array(700_000), { clock: hasty(50) });
    const { socket, closed } = raw(server.port);
    socket.pause();
    socket.on("connect", () => socket.write(encodeFrame(new Uint8Array([1]))));
    await closed;
  });

  test.each([
    ["does not wait for the answer", [0, 0, 0, 1, 1, 0, 0, 0, 1, 1]],
    ["announces too much", [127, 255, 255, 255]],
  ])("and %s is hung up on", async (_what, bytes) => {
    const server = serve(echo);
    const { socket, closed } = raw(server.port);
    socket.write(new Uint8Array(bytes));
    await closed;
  });
});

test("a port that is taken says so", () => {
  const server = serve(echo);
  const again = () =>
    startTcpServer({
      addresses: [LOOPBACK],
      port: server.port,
      interfaceName: undefined,
      clock: systemClock,
      isMember: () => true,
      answer: echo,
    });
  expect(again).toThrow();
});
