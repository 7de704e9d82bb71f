/** Many peers at one interface of the executable. Needs root. */

import { expect, test } from "bun:test";
import { connect } from "node:net";
import { type Host, Lab } from "../lab/index.ts";
import { INTERFACE, startPair } from "./wireguard-pair.ts";

const LIMIT_MS = 60_000;
const CROWD = 10_000;
const CHANGES = 200;
/** What a device has room for. */
const MOST_ALLOWED_IPS = 262_144;

function keyOf(number: number): string {
  return number.toString(16).padStart(8, "0").padEnd(64, "7");
}

function peerOf(number: number): string {
  return `public_key=${keyOf(number)}\nallowed_ip=10.${64 + (number >> 16)}.${(number >> 8) & 0xff}.${number & 0xff}/32\n`;
}

/** One request over the configuration socket, and its answer. */
async function ask(host: Host, request: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect(host.path(`/run/wireguard/${INTERFACE}.sock`));
  let answer = "";
  socket.on("data", (data: Buffer) => {
    answer += data.toString();
    if (answer.endsWith("\n\n")) resolve(answer);
  });
  socket.on("error", reject);
  socket.on("close", () => reject(new Error("the socket was closed")));
  socket.write(`${request}\n`);
  try {
    return await promise;
  } finally {
    socket.destroy();
  }
}

test(
  "one among ten thousand comes and goes, and no packet of another is lost",
  async () => {
    await using lab = await Lab.create("peers");
    const [a, b] = await startPair(lab, { programs: ["minitail", "minitail"], family: 4, presharedKey: false });
    const crowd = Array.from({ length: CROWD }, (_, i) => peerOf(i)).join("");
    expect(await ask(a.host, `set=1\n${crowd}`)).toBe("errno=0\n\n");
    expect((await a.host.run(["ping", "-n", "-c", "1", "-W", "5", b.addresses[0]])).status).toBe(0);
    const pinging = a.host.spawn(["ping", "-n", "-q", "-i", "0.002", "-W", "2", b.addresses[0]]);
    for (let i = 0; i < CHANGES; i++) {
      expect(await ask(a.host, `set=1\n${peerOf(CROWD + i)}`)).toBe("errno=0\n\n");
      expect(await ask(a.host, `set=1\npublic_key=${keyOf(CROWD + i)}\nremove=true\n`)).toBe("errno=0\n\n");
    }
    await pinging.stop("SIGINT");
    const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(pinging.stdout)!;
    expect(Number(sent)).toBeGreaterThan(20);
    // The one that was on its way when ping was stopped.
    expect(Number(sent) - Number(received)).toBeLessThanOrEqual(1);
  },
  LIMIT_MS,
);

test(
  "more allowed IPs than there is room for are refused whole",
  async () => {
    await using lab = await Lab.create("allowed-ips");
    const [a, b] = await startPair(lab, { programs: ["minitail", "minitail"], family: 4, presharedKey: false });
    const before = await ask(a.host, "get=1\n");
    const lines = Array.from(
      { length: MOST_ALLOWED_IPS },
      (_, i) => `allowed_ip=10.${64 + (i >> 16)}.${(i >> 8) & 0xff}.${i & 0xff}/32\n`,
    );
    const request = (count: number) => `public_key=${keyOf(1)}\n${lines.slice(0, count).join("")}`;
    // Two are the pair's own.
    const refused = `set=1\nlisten_port=7\nfwmark=9\n${request(MOST_ALLOWED_IPS - 1)}`;
    expect(await ask(a.host, refused)).toBe("errno=-28\n\n");
    expect(await ask(a.host, "get=1\n")).toBe(before);
    expect(await ask(a.host, `set=1\n${request(MOST_ALLOWED_IPS - 2)}`)).toBe("errno=0\n\n");
    expect((await a.host.run(["ping", "-n", "-c", "1", "-W", "5", b.addresses[0]])).status).toBe(0);
  },
  LIMIT_MS,
);
