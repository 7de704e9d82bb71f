/** `tcp.ts server PORT` prints length and hash of what one client sends; `tcp.ts client HOST PORT BYTES` sends. */

import { connect, createServer } from "node:net";

const [role, ...rest] = process.argv.slice(2);

function serve(port: number): void {
  createServer((socket) => {
    const hasher = new Bun.CryptoHasher("sha256");
    let lengthBytes = 0;
    socket.on("data", (part) => {
      hasher.update(part);
      lengthBytes += part.length;
    });
    socket.on("end", () => {
      console.log(JSON.stringify({ lengthBytes, sha256: hasher.digest("hex") }));
      process.exit(0);
    });
  }).listen(port, "0.0.0.0");
}

/** Tries until the server listens. */
function send(host: string, port: number, lengthBytes: number): void {
  const payload = new Uint8Array(lengthBytes).map((_, index) => index % 253);
  const socket = connect(port, host, () => socket.end(payload));
  socket.on("error", () => setTimeout(() => send(host, port, lengthBytes), 10));
}

if (role === "server") {
  serve(Number(rest[0]));
} else {
  send(rest[0]!, Number(rest[1]), Number(rest[2]));
}
