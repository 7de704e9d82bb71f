import { expect, test } from "bun:test";
import { bindSocket, createUdpSocket, getSocketName } from "bun-ffi-tun";
import { parseAddress } from "../../src/base/ip.ts";
import { NobleTransportCipher } from "../../src/crypto/transport-cipher-noble.ts";
import type { DataPlaneEvent } from "../../src/dataplane/event.ts";
import { PlainReceive } from "../../src/dataplane/plain-receive.ts";
import { SharedTables } from "../../src/dataplane/shared-tables.ts";

test("what can't be carried on is reported, though Bun drops what its callbacks throw", async () => {
  const fd = createUdpSocket({ family: 4 });
  bindSocket(fd, { address: parseAddress("127.0.0.1")!, port: 0 });
  const { port } = getSocketName(fd)!;
  const tables = new SharedTables();
  tables.count = () => {
    throw new Error("a fault of ours");
  };
  const reported = Promise.withResolvers<DataPlaneEvent>();
  const receive = new PlainReceive({
    tables,
    cipher: new NobleTransportCipher(),
    deviceFd: -1,
    report: (event) => void (event.type === "wire-taken" || reported.resolve(event)),
  });
  await receive.handleCommand({ type: "wire", fd });
  const sender = await Bun.udpSocket({ hostname: "127.0.0.1" });
  const sending = setInterval(() => sender.send("no message of WireGuard's", port, "127.0.0.1"), 5);
  try {
    expect(await reported.promise).toEqual({ type: "failed", message: "a fault of ours" });
  } finally {
    clearInterval(sending);
    sender.close();
    receive.close();
  }
});
