/** minitail between large packets, and beside somebody who sends junk to its port. Needs root. */

import { describe, expect, test } from "bun:test";
import { eventually, type Host, Lab } from "../lab/index.ts";
import {
  type ConnectHosts,
  expectReplies,
  INTERFACE,
  PORT,
  startPair,
  type WireguardEnd,
  type WireguardProgram,
} from "./wireguard-pair.ts";

const LIMIT_MS = 60_000;
const SENDER = new URL("./junk-program.ts", import.meta.url).pathname;

const ETHERNET_MTU_BYTES = 1500;
/** Outside; the tunnel's packets are as large as they fit in. */
const JUMBO_MTU_BYTES = 9000;
const JUMBO_INNER_MTU_BYTES = 8920;

/** By a switch; a third host is there as well, who has nothing to do with either. */
function withStranger(mtu: number, strangers: Host[]): ConnectHosts {
  return async (lab, [a, b]) => {
    const lan = lab.switch("lan");
    const stranger = await lab.host("stranger");
    for (const [i, host] of [a, b, stranger].entries()) host.connect(lan, { address: `192.0.2.${i + 1}/24`, mtu });
    strangers.push(stranger);
    return [
      ["192.0.2.1", "2001:db8::1"],
      ["192.0.2.2", "2001:db8::2"],
    ];
  };
}

/** Sends a file by TCP; the hash of what came is the hash of what was sent. */
async function expectStream(sender: WireguardEnd, receiver: WireguardEnd, megabytes: number): Promise<void> {
  const receiving = receiver.host.spawn(["sh", "-c", "socat -u TCP4-LISTEN:9000,reuseaddr STDOUT | sha256sum"]);
  await receiver.host.output(["sh", "-c", "while ! ss -ltn | grep -q :9000; do :; done"]);
  const send = `head -c ${megabytes}000000 /dev/urandom > /run/data; socat -u FILE:/run/data TCP4:${receiver.addresses[0]}:9000`;
  const sent = await sender.host.output(["sh", "-c", `${send}; sha256sum < /run/data`]);
  await receiving.exited;
  expect(receiving.stdout).toBe(sent);
}

const PAIRS: readonly (readonly [WireguardProgram, WireguardProgram])[] = [
  ["minitail", "minitail"],
  ["minitail", "wireguard-go"],
];

describe.each(PAIRS)("%s and %s", (...programs) => {
  test(
    "carry streams in large packets",
    async () => {
      await using lab = await Lab.create("wireguard-jumbo");
      const connect = withStranger(JUMBO_MTU_BYTES, []);
      const ends = await startPair(lab, { programs, family: 4, presharedKey: false, connect });
      for (const { host } of ends) {
        await host.output(["ip", "link", "set", INTERFACE, "mtu", String(JUMBO_INNER_MTU_BYTES)]);
      }
      await expectStream(ends[0], ends[1], 50);
      await expectStream(ends[1], ends[0], 50);
    },
    LIMIT_MS,
  );

  test(
    "carry streams while somebody sends junk to both",
    async () => {
      await using lab = await Lab.create("wireguard-junk");
      const strangers: Host[] = [];
      const connect = withStranger(ETHERNET_MTU_BYTES, strangers);
      const ends = await startPair(lab, { programs, family: 4, presharedKey: false, connect });
      const sending = ends.map((_end, i) => spawnSender(strangers[0]!, `192.0.2.${i + 1}`, 20261121 + i));
      for (const each of sending) await eventually("junk to be sent", () => each.stdout.includes("\n"), 10_000);
      await expectStream(ends[0], ends[1], 20);
      await expectStream(ends[1], ends[0], 20);
      for (const { program } of ends) expect(program.exit).toBeUndefined();
      for (const each of sending) {
        expect(each.exit).toBeUndefined();
        each.kill("SIGKILL");
        await each.exited;
      }
      await expectReplies(ends[0].host, ends[1].addresses[0]);
    },
    LIMIT_MS,
  );
});

function spawnSender(host: Host, address: string, seed: number) {
  return host.spawn([process.execPath, SENDER, address, String(PORT), String(seed)]);
}
