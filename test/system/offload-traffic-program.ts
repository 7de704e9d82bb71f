/**
 * One end of a TCP connection, for offload.test.ts. `server ADDRESS PORT` says "listening", and what one client sent it: a
 * line of JSON with length and hash. `client ADDRESS PORT BYTES` sends that many, and ends when all is acknowledged.
 */

import { connect, createServer } from "node:net";
import { payloadOf } from "../dataplane/segment-arbitraries.ts";

const [role, address, port, lengthBytes] = process.argv.slice(2) as [string, string, string, string];

function serve(): void {
  const server = createServer((socket) => {
    const hasher = new Bun.CryptoHasher("sha256");
    let receivedBytes = 0;
    socket.on("data", (part) => {
      hasher.update(part);
      receivedBytes += part.length;
    });
    socket.on("end", () => {
      console.log(JSON.stringify({ lengthBytes: receivedBytes, sha256: hasher.digest("hex") }));
      socket.end();
      server.close();
    });
  });
  server.listen(Number(port), address, () => console.log("listening"));
}

if (role === "server") serve();
else {
  const payload = payloadOf(Number(lengthBytes));
  const socket = connect(Number(port), address, () => socket.end(payload));
  socket.resume();
}
