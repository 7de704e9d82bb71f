import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dupFd } from "bun-ffi-tun";
import { formatHex } from "../../src/base/bytes.ts";
import { isMinitailError, MinitailError } from "../../src/base/errors.ts";
import { UapiServer, type UapiServerOptions } from "../../src/uapi/server.ts";
import { FakeDevice } from "./fake-device.ts";

const OK = "errno=0\n\n";
const PEER = `public_key=${formatHex(new Uint8Array(32).fill(0xaa))}\n`;

let folder = "";
let device = new FakeDevice();
let removals = 0;
let servers: UapiServer[] = [];
let clients: Socket[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(existsSync(tmpdir()) ? tmpdir() : "/dev/shm", "minitail-uapi-"));
  device = new FakeDevice();
  removals = 0;
  servers = [];
  clients = [];
});

afterEach(async () => {
  for (const client of clients) client.destroy();
  for (const server of servers) await server.close();
  rmSync(folder, { recursive: true, force: true });
});

async function start(options: Partial<UapiServerOptions> = {}): Promise<UapiServer> {
  const server = await UapiServer.start({
    interfaceName: "wg7",
    device,
    onRemoved: () => removals++,
    folder,
    ...options,
  });
  servers.push(server);
  return server;
}

async function until(condition: () => boolean): Promise<void> {
  const limitMs = performance.now() + 5000;
  while (!condition()) {
    if (performance.now() > limitMs) throw new Error("the condition did not come true in 5 s");
    await Bun.sleep(2);
  }
}

/** A client that collects what it is told. */
class Client {
  readonly socket: Socket;
  text = "";
  ended = false;

  constructor(path: string) {
    this.socket = connect({ path, allowHalfOpen: true });
    clients.push(this.socket);
    this.socket.on("data", (data) => {
      this.text += data.toString("latin1");
    });
    for (const event of ["end", "close", "error"]) this.socket.on(event, () => (this.ended = true));
  }
}

/** Writes `request`, ends the writing side, and answers all that came back. */
async function ask(path: string, request: string): Promise<string> {
  const client = new Client(path);
  client.socket.end(request);
  await until(() => client.ended);
  return client.text;
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "none";
  } catch (error) {
    return isMinitailError(error) ? error.code : "other";
  }
}

describe("requests", () => {
  test("get and set", async () => {
    const { path } = await start();
    expect(await ask(path, "get=1\n\n")).toBe(OK);
    expect(await ask(path, `set=1\nlisten_port=7\n${PEER}allowed_ip=10.0.0.0/8\n\n`)).toBe(OK);
    const state = await ask(path, "get=1\n\n");
    expect(state).toStartWith(`listen_port=7\n${PEER}`);
    expect(state).toEndWith(`allowed_ip=10.0.0.0/8\n${OK}`);
  });

  test("several on one connection, each answered before the next is looked at", async () => {
    const { path } = await start();
    const client = new Client(path);
    client.socket.write("set=1\nlisten_port=1\n\nget=1\n\nset=1\nlisten_port=2\n\nget=1\n");
    const first = `${OK}listen_port=1\n${OK}${OK}`;
    await until(() => client.text === first);
    client.socket.write("\n");
    await until(() => client.text === `${first}listen_port=2\n${OK}`);
    expect(client.ended).toBe(false);
  });

  test("a request in single bytes", async () => {
    const { path } = await start();
    const client = new Client(path);
    for (const byte of "set=1\nfwmark=5\n\nget=1\n\n") {
      client.socket.write(byte);
      await new Promise(setImmediate);
    }
    await until(() => client.text === `${OK}fwmark=5\n${OK}`);
  });

  test("an empty set", async () => {
    const { path } = await start();
    expect(await ask(path, "set=1\n\n")).toBe(OK);
    expect(device.changes).toEqual([{ configuration: {} }]);
  });

  test("errors: nothing is applied, and the connection lives", async () => {
    const { path } = await start();
    expect(await ask(path, "set=1\nlisten_port=5\nfwmark=x\n\nget=1\n\n")).toBe(`errno=-22\n\n${OK}`);
    expect(await ask(path, "set=1\nlisten_port=5\nnonsense\n\n")).toBe("errno=-71\n\n");
    expect(await ask(path, "get=1\nmore\n\n")).toBe("errno=-22\n\n");
    expect(device.changes).toEqual([]);
  });

  test("the zone of a link-local endpoint comes back as its number", async () => {
    const { path } = await start();
    const peer = `public_key=${"11".repeat(32)}`;
    expect(await ask(path, `set=1\n${peer}\nendpoint=[fe80::1%eth0]:7\n\n`)).toBe(OK);
    expect(await ask(path, "get=1\n\n")).toContain("\nendpoint=[fe80::1%3]:7\n");
  });

  test("what the device throws", async () => {
    const { path } = await start();
    device.failure = new MinitailError("port-taken", "port 5 is taken");
    expect(await ask(path, "set=1\nlisten_port=5\n\n")).toBe("errno=-98\n\n");
    device.failure = new MinitailError("too-many", "a device holds 3 allowed IPs at most");
    expect(await ask(path, "set=1\nlisten_port=5\n\n")).toBe("errno=-28\n\n");
    device.failure = new MinitailError("not-permitted", "the device is another program's");
    expect(await ask(path, "set=1\nlisten_port=5\n\n")).toBe("errno=-1\n\n");
    device.failure = new Error("anything");
    expect(await ask(path, "set=1\nlisten_port=5\n\nget=1\n\n")).toBe(`errno=-5\n\n${OK}`);
  });

  test("an unknown operation closes the connection", async () => {
    const { path } = await start();
    for (const request of ["hello\n\n", "get=2\n\n", "\n\n", "set=1 \n\n"]) {
      expect(await ask(path, `${request}get=1\n\n`)).toBe("");
    }
  });

  test("what the client did not finish is not applied", async () => {
    const { path } = await start();
    expect(await ask(path, "set=1\nlisten_port=5\n")).toBe("");
    expect(await ask(path, "set=1\nlisten_port=51820")).toBe("");
    expect(device.changes).toEqual([]);
  });

  test("65,000 allowed IPs and 500 peers in one set, and back", async () => {
    const { path } = await start();
    let request = "set=1\n";
    let peers = "";
    for (let i = 0; i < 500; i++) {
      const publicKey = new Uint8Array(32).fill(1);
      publicKey[0] = i & 0xff;
      publicKey[1] = i >> 8;
      peers += `public_key=${formatHex(publicKey)}\n`;
      for (let j = 0; j < 130; j++) peers += `allowed_ip=fd00:${i}::${j.toString(16)}/128\n`;
    }
    request += `${peers}\n`;
    expect(await ask(path, request)).toBe(OK);
    expect(device.peers.length).toBe(500);
    const state = await ask(path, "get=1\n\n");
    expect(state.match(/allowed_ip=/g)?.length).toBe(65_000);
    expect(state).toEndWith(OK);
  });
});

describe("hostile clients", () => {
  test("a request without end is cut off", async () => {
    const { path } = await start();
    const client = new Client(path);
    client.socket.write("set=1\n");
    const line = `${"x".repeat(65_535)}\n`;
    for (let i = 0; i < 300 && !client.ended; i++) {
      client.socket.write(line);
      await new Promise(setImmediate);
    }
    await until(() => client.ended);
    expect(await ask(path, "get=1\n\n")).toBe(OK);
  });

  test("one who writes slowly, or never, is dropped, and keeps nobody from being served", async () => {
    const { path } = await start({ requestTimeoutMs: 150 });
    const silent = new Client(path);
    const slow = new Client(path);
    const trickle = setInterval(() => slow.socket.write("x"), 20);
    expect(await ask(path, "get=1\n\n")).toBe(OK);
    await until(() => silent.ended && slow.ended);
    clearInterval(trickle);
  });

  test("one who never reads the answer is dropped", async () => {
    const { path } = await start({ requestTimeoutMs: 150 });
    const prefixes = Array.from({ length: 60_000 }, (_, i) => `allowed_ip=10.${i >> 8}.${i & 255}.0/24\n`).join("");
    expect(await ask(path, `set=1\n${PEER}${prefixes}\n`)).toBe(OK);
    const client = connect(path);
    clients.push(client);
    let closed = false;
    client.on("close", () => (closed = true));
    client.on("error", () => (closed = true));
    client.pause();
    client.write("get=1\n\n".repeat(20));
    expect(await ask(path, "set=1\n\n")).toBe(OK);
    // Writing to a socket whose other side is gone fails.
    await until(() => {
      if (!closed) client.write("\n");
      return closed;
    });
  });

  test("very many at once: those beyond the limit are turned away", async () => {
    const { path } = await start();
    const many = Array.from({ length: 100 }, () => new Client(path));
    await until(() => many.filter((client) => client.ended).length >= 36);
    for (const client of many) client.socket.destroy();
    await until(() => many.every((client) => client.socket.destroyed));
    let answer = "";
    for (let i = 0; i < 100 && answer === ""; i++) answer = await ask(path, "get=1\n\n");
    expect(answer).toBe(OK);
  });

  test("one who goes away before the answer", async () => {
    const { path } = await start();
    for (let i = 0; i < 20; i++) {
      const client = new Client(path);
      client.socket.write("get=1\n\n");
      client.socket.destroy();
    }
    expect(await ask(path, "get=1\n\n")).toBe(OK);
  });
});

describe("the file", () => {
  test("only its owner can open it, and it is gone afterwards", async () => {
    const server = await start({ folder: join(folder, "new") });
    expect(lstatSync(server.path).mode & 0o777).toBe(0o600);
    expect(lstatSync(join(folder, "new")).mode & 0o777).toBe(0o700);
    expect(server.path).toBe(join(folder, "new", "wg7.sock"));
    await server.close();
    expect(existsSync(server.path)).toBe(false);
    expect(removals).toBe(0);
    expect(readdirSync(join(folder, "new"))).toEqual([]);
    await server.close();
  });

  test("one that a killed process left is replaced", async () => {
    const path = join(folder, "wg7.sock");
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(join(folder, "x.sock"), resolve));
    renameSync(join(folder, "x.sock"), path);
    await new Promise((resolve) => other.close(resolve));
    expect(existsSync(path)).toBe(true);
    await start();
    expect(await ask(path, "get=1\n\n")).toBe(OK);
  });

  test("one in use, or what is no socket, is an error and stays", async () => {
    const { path } = await start();
    expect(await codeOf(start())).toBe("interface-taken");
    expect(await ask(path, "get=1\n\n")).toBe(OK);
    writeFileSync(join(folder, "wg8.sock"), "");
    expect(await codeOf(start({ interfaceName: "wg8" }))).toBe("interface-taken");
    expect(existsSync(join(folder, "wg8.sock"))).toBe(true);
    writeFileSync(join(folder, "file"), "");
    expect(await codeOf(start({ folder: join(folder, "file") }))).toBe("not-permitted");
  });

  test("a socket that listens already is taken over", async () => {
    const path = join(folder, "wg7.sock");
    const made = Bun.listen({ unix: join(folder, "made"), socket: { data() {} } });
    linkSync(join(folder, "made"), path);
    const listenFd = dupFd((made as unknown as { fd: number }).fd);
    made.stop(true);
    const server = await start({ listenFd });
    expect(await ask(path, "get=1\n\n")).toBe(OK);
    await server.close();
    expect(existsSync(path)).toBe(false);
    expect(removals).toBe(0);
  });

  test("a descriptor that is not that socket is an error", async () => {
    expect(await codeOf(start({ listenFd: 0 }))).toBe("usage");
  });

  test("two interfaces side by side", async () => {
    const [first, second] = [await start(), await start({ interfaceName: "wg8" })];
    await first.close();
    expect(await ask(second.path, "get=1\n\n")).toBe(OK);
    expect(removals).toBe(0);
  });

  test("its removal is told once", async () => {
    const { path } = await start();
    writeFileSync(join(folder, "other"), "");
    unlinkSync(join(folder, "other"));
    expect(removals).toBe(0);
    unlinkSync(path);
    await until(() => removals === 1);
    writeFileSync(join(folder, "other"), "");
    await servers[0]!.close();
    expect(removals).toBe(1);
  });

  test("the removal of the whole folder is told", async () => {
    await start({ folder: join(folder, "new") });
    rmSync(join(folder, "new"), { recursive: true });
    await until(() => removals === 1);
  });

  test("another file in its place is not removed", async () => {
    const server = await start();
    writeFileSync(join(folder, "new"), "");
    renameSync(join(folder, "new"), server.path);
    await until(() => removals === 1);
    await server.close();
    expect(existsSync(server.path)).toBe(true);
  });

  test("closing ends the connections", async () => {
    const server = await start();
    const client = new Client(server.path);
    client.socket.write("get=1\n\n");
    await until(() => client.text === OK);
    await server.close();
    await until(() => client.ended);
  });
});
