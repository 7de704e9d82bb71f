/** HTTP/1.1 as the registry's port speaks it: what it reads, what it refuses, and whom it does not wait for. */

import { afterEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { concatBytes, utf8 } from "../../src/base/bytes.ts";
import { silentLog } from "../../src/base/log.ts";
import { HttpConnection, type HttpSocket } from "../../src/registry/server/http-connection.ts";
import { decodeRequestHead } from "../../src/registry/server/http-request.ts";
import { type Listener, parseListen, type Route, startListener } from "../../src/registry/server/listener.ts";
import { until } from "./until.ts";

describe("heads", () => {
  const decode = (text: string) => decodeRequestHead(Buffer.from(text, "latin1"));

  test("a request of a client", () => {
    const text =
      "POST /pipeline?a=b HTTP/1.1\r\nHost: x:7411\r\nAuthorization:  Bearer t \r\nContent-Length: 12\r\n\r\n[1]";
    const decoded = decode(text);
    if (decoded.kind !== "head") throw new Error(decoded.kind);
    expect(decoded.lengthBytes).toBe(text.length - 3);
    const { method, target, bodyBytes, headers, closes, expectsContinue } = decoded.head;
    expect({ method, target, bodyBytes, closes, expectsContinue }).toEqual({
      method: "POST",
      target: "/pipeline?a=b",
      bodyBytes: 12,
      closes: false,
      expectsContinue: false,
    });
    expect(headers.get("authorization")).toBe("Bearer t");
  });

  test.each([
    ["GET / HTTP/1.1\r\n\r\n", 400],
    ["GET / HTTP/1.0\r\nHost: x\r\n\r\n", 505],
    ["GET / HTTP/2.0\r\nHost: x\r\n\r\n", 400],
    ["get / HTTP/1.1\r\nHost: x\r\n\r\n", 400],
    ["GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400],
    ["GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400],
    ["GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400],
    ["GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400],
    ["GET / HTTP/1.1\r\nHost: x\r\nA: \x00\r\n\r\n", 400],
    ["GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", 400],
    ["POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 2\r\n\r\n", 400],
    ["POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400],
    ["POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n", 400],
    ["POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999999999\r\n\r\n", 400],
    ["POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 411],
    ["POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 411],
    [`GET / HTTP/1.1\r\nHost: x\r\n${"A: b\r\n".repeat(101)}\r\n`, 400],
    [`GET /${"x".repeat(17_000)}`, 431],
  ])("%j is refused", (text, status) => {
    expect(decode(text)).toEqual({ kind: "refused", status });
  });

  test("what is cut short is incomplete, and no bytes break it", () => {
    const whole = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n";
    for (let length = 0; length < whole.length; length++) {
      expect(decode(whole.slice(0, length))).toEqual({ kind: "incomplete" });
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(["head", "incomplete", "refused"]).toContain(
          decodeRequestHead(concatBytes(bytes, utf8("\r\n\r\n"))).kind,
        );
      }),
      { seed: 20261121, numRuns: 500 },
    );
  });
});

describe("a connection", () => {
  /** What it wrote, and whether it is open. The socket takes at most `room` bytes until it is drained. */
  function connect(handle: (request: Request) => Promise<Response>, room = Number.POSITIVE_INFINITY) {
    const sent: Uint8Array[] = [];
    let nowMs = 0;
    const state = { isPaused: false, end: undefined as "end" | "terminate" | undefined, room };
    const socket: HttpSocket = {
      write(bytes) {
        const taken = Math.min(bytes.length, state.room);
        state.room -= taken;
        sent.push(bytes.slice(0, taken));
        return taken;
      },
      pause() {
        state.isPaused = true;
      },
      resume() {
        state.isPaused = false;
      },
      end() {
        state.end ??= "end";
      },
      terminate() {
        state.end ??= "terminate";
      },
    };
    const connection = new HttpConnection(socket, handle, 1000, () => nowMs);
    return {
      connection,
      state,
      text: () => Buffer.concat(sent).toString("latin1"),
      pass(ms: number) {
        nowMs += ms;
        connection.checkTime();
      },
    };
  }

  const echo = async (request: Request) => new Response(`<${await request.text()}>`);
  const post = (body: string) => `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

  test("requests that come in any pieces, also before the one before was answered, are answered in order", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ unit: fc.constantFrom("a", "b", "\r", "\n"), maxLength: 20 }), {
          minLength: 1,
          maxLength: 5,
        }),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
        async (bodies, lengths) => {
          const { connection, text } = connect(echo);
          const bytes = utf8(bodies.map(post).join(""));
          for (let start = 0, i = 0; start < bytes.length; i++) {
            const length = lengths[i % lengths.length]!;
            connection.handleData(bytes.subarray(start, start + length));
            start += length;
          }
          await until("all are answered", () => text().split("HTTP/1.1 200 OK").length === bodies.length + 1);
          const answers = text().split("HTTP/1.1 200 OK").slice(1);
          expect(answers.map((answer) => answer.includes("chunked"))).toEqual(bodies.map(() => true));
          for (const [i, body] of bodies.entries()) expect(answers[i]).toContain(`<${body}>`);
        },
      ),
      { seed: 20261122, numRuns: 60 },
    );
  });

  test("what is left of a body that nobody read is thrown away; a longer one ends the connection", async () => {
    const refuse = async () => new Response(null, { status: 401 });
    const { connection, state, text } = connect(refuse);
    connection.handleData(utf8(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n${"x".repeat(100)}`));
    await until("it is answered", () => text().includes("401"));
    connection.handleData(utf8("x".repeat(400) + post("")));
    await until("the next one too", () => text().split("401").length === 3);
    expect(state.end).toBeUndefined();
    connection.handleData(utf8("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n"));
    await until("it is closed", () => state.end === "end");
    expect(text()).toContain("connection: close");
  });

  test("who waits for 100 Continue gets it, but not for a body that is too long", async () => {
    const { connection, text } = connect(echo);
    connection.handleData(utf8("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"));
    expect(text()).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    connection.handleData(utf8("ab"));
    await until("answered", () => text().includes("<ab>"));
    const other = connect(async () => new Response(null, { status: 413 }));
    other.connection.handleData(
      utf8("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2000\r\n\r\n"),
    );
    await until("refused", () => other.state.end === "end");
    expect(other.text()).toStartWith("HTTP/1.1 413 ");
  });

  test("a head that comes by and by, silence, and an answer that is not taken end it in time", async () => {
    const slow = connect(echo);
    for (let i = 0; i < 15; i++) {
      slow.connection.handleData(utf8("G"));
      slow.pass(900);
    }
    expect(slow.state.end).toBeUndefined();
    slow.pass(2000);
    expect(slow.state.end).toBe("terminate");

    const idle = connect(echo);
    idle.connection.handleData(utf8(post("a")));
    await until("answered", () => idle.text().includes("<a>"));
    idle.pass(59_000);
    expect(idle.state.end).toBeUndefined();
    idle.pass(2000);
    expect(idle.state.end).toBe("terminate");

    const lazy = connect(async () => new Response("x".repeat(200_000)), 1000);
    lazy.connection.handleData(utf8(post("a")));
    await until("it began", () => lazy.text().length === 1000);
    lazy.pass(50_000);
    lazy.state.room = 1000;
    lazy.connection.handleDrain();
    lazy.pass(50_000);
    expect(lazy.state.end).toBeUndefined();
    lazy.pass(11_000);
    expect(lazy.state.end).toBe("terminate");
  });

  test("an answer that is taken byte by byte ends it, and so does the rest of one", async () => {
    const trickle = (connection: HttpConnection, state: { room: number }, pass: (ms: number) => void) => {
      for (let i = 0; i < 10; i++) {
        pass(50_000);
        state.room = 1;
        connection.handleDrain();
      }
    };
    const headers = { "content-length": "200000" };
    const long = connect(async () => new Response("x".repeat(200_000), { headers }), 1000);
    long.connection.handleData(utf8(post("a")));
    await until("it began", () => long.text().length === 1000);
    trickle(long.connection, long.state, long.pass);
    expect(long.state.end).toBe("terminate");
    const short = connect(async () => new Response("x".repeat(2000)), 1000);
    short.connection.handleData(utf8(post("a")));
    await until("it began", () => short.text().length === 1000);
    await Bun.sleep(0);
    trickle(short.connection, short.state, short.pass);
    expect(short.state.end).toBe("terminate");
  });

  test("HEAD is answered by a head alone, and an unknown method by none of ours", async () => {
    const methods: string[] = [];
    const { connection, text } = connect(async ({ method }) => {
      methods.push(method);
      return new Response("x".repeat(10), { headers: { "content-length": "10" } });
    });
    connection.handleData(utf8("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"));
    await until("it is answered", () => text().endsWith("\r\n\r\n"));
    connection.handleData(utf8(post("a")));
    await until("the next one too", () => text().split("HTTP/1.1 200 OK").length === 3);
    expect(text().split("HTTP/1.1 200 OK")[1]).not.toContain("xxx");
    await until("its end", () => text().endsWith("x".repeat(10)));
    connection.handleData(utf8("FOO / HTTP/1.1\r\nHost: x\r\n\r\n"));
    await until("refused", () => text().includes("HTTP/1.1 501 "));
    expect(methods).toEqual(["HEAD", "POST"]);
  });

  test("a stream is not closed for its silence, and is told when the client goes", async () => {
    let cancelled = false;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(utf8("data: x\n\n")),
      cancel() {
        cancelled = true;
      },
    });
    const { connection, state, text, pass } = connect(async () => new Response(body));
    connection.handleData(utf8(post("")));
    await until("it began", () => text().includes("data: x"));
    pass(86_400_000);
    expect(state.end).toBeUndefined();
    connection.handleClose();
    await until("the stream knows", () => cancelled);
  });

  test("a body is read as fast as it is used", async () => {
    const begin = Promise.withResolvers<void>();
    const { connection, state, text } = connect(async (request) => {
      await begin.promise;
      return new Response(String((await request.bytes()).length));
    });
    connection.handleData(utf8("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 600000\r\n\r\n"));
    connection.handleData(new Uint8Array(300_000));
    expect(state.isPaused).toBe(true);
    begin.resolve();
    await until("it goes on", () => !state.isPaused);
    connection.handleData(new Uint8Array(300_000));
    await until("it is answered", () => text().includes("600000"));
  });

  test("requests without end before the first was answered end it", () => {
    const { connection, state } = connect(() => new Promise(() => {}));
    connection.handleData(utf8(post("a")));
    for (let i = 0; i < 7; i++) connection.handleData(new Uint8Array(10_000));
    expect(state.end).toBe("terminate");
  });
});

describe("connections", () => {
  let listener: Listener | undefined;
  afterEach(() => listener?.stop());

  const pong: Route = () => new Response("pong");

  test("are limited in number, those that say nothing too, and a place that is free is given", async () => {
    listener = startListener({
      endpoint: parseListen("127.0.0.1:0"),
      tls: undefined,
      routes: [pong],
      longestRequestBytes: 1000,
      limits: { connections: 100, connectionsPerClient: 3 },
      log: silentLog,
    });
    const { port } = listener;
    const open = () => {
      const closed = Promise.withResolvers<void>();
      const socket = Bun.connect({
        hostname: "127.0.0.1",
        port,
        socket: { data() {}, close: () => closed.resolve(), error: () => closed.resolve() },
      });
      return { socket, closed: closed.promise };
    };
    const three = [open(), open(), open()];
    for (const { socket } of three) await socket;
    await until("all three are counted", () => listener!.connections === 3);
    await open().closed;
    await until("it was counted as refused", () => listener!.refusedConnections === 1);
    (await three[0]!.socket).terminate();
    await until("its place is free", () => listener!.connections === 2);
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe("pong");
    for (const { socket } of three) (await socket).terminate();
  });
});
