/**
 * `bun run bench:peers`: what many peers cost, where each figure is one that must not grow with their number.
 *
 * In this process: adding and removing one peer among ten thousand, in the tables alone and by the device; the memory of
 * the tables. Of the executable: a change over the configuration socket, and the processor time of idle peers. The
 * latter needs root.
 */

import { ptr } from "bun:ffi";
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import { connect } from "node:net";
import { errorMessage, MinitailError } from "../src/base/errors.ts";
import { hostPrefix, ipv4FromNumber } from "../src/base/ip.ts";
import { PEER_ROW_LENGTH_BYTES } from "../src/dataplane/layout.ts";
import { SharedTables } from "../src/dataplane/shared-tables.ts";
import { TableWriter } from "../src/dataplane/table-writer.ts";
import type { Action } from "../src/wireguard/action.ts";
import type { PeerConfiguration } from "../src/wireguard/configuration.ts";
import { Device } from "../src/wireguard/device.ts";
import { Lab } from "../test/lab/index.ts";
import { waitUntil } from "../test/machine/wait.ts";
import { describeMachine, formatMachine } from "./bench/machine.ts";
import { largestMemory, processorSeconds } from "./bench/processes.ts";
import { findMinitail } from "./bench/rivals/minitail.ts";
import { median } from "./bench/statistics.ts";

const CROWD = 10_000;
const IDLE_PEERS = 1_000;
const IDLE_SECONDS = 10;
const REPEATS = 1_000;
const SESSIONS_A_PEER = 4;
const PAGE_BYTES = 4096;
const PAGE_ENTRY_BYTES = 8;
const INTERFACE = "peers0";
const START_LIMIT_MS = 10_000;

function keyOf(number: number): Uint8Array {
  const key = new Uint8Array(32).fill(7);
  new DataView(key.buffer).setUint32(0, number);
  return key;
}

function peerOf(number: number): PeerConfiguration {
  return {
    publicKey: keyOf(number),
    endpoint: { address: ipv4FromNumber(0xc6336400 + (number & 0xff)), port: 1 + (number & 0x7fff) },
    allowedIps: [
      { prefix: hostPrefix(ipv4FromNumber(0x0a000000 + number)) },
      { prefix: { address: Uint8Array.of(0xfd, ...new Uint8Array(11), ...ipv4FromNumber(number)), lengthBits: 128 } },
    ],
  };
}

/** A device and its tables, without workers and timers: nothing here runs but what is measured. */
function makeTunnel() {
  const tables = new SharedTables();
  const writer = new TableWriter(tables);
  const device = new Device({
    random: (lengthBytes) => crypto.getRandomValues(new Uint8Array(lengthBytes)),
    unixMs: () => Date.now(),
    readActivity: (slot) => writer.activity(slot),
    watchActivity: (slot) => writer.reportActivity(slot),
  });
  const perform = (actions: readonly Action[]) => {
    for (const action of actions) {
      if (action.type === "add-peer") writer.addPeer(action.slot);
      else if (action.type === "remove-peer") writer.removePeer(action.slot);
      else if (action.type === "set-endpoint") writer.setEndpoint(action.slot, action.endpoint);
      else if (action.type === "set-allowed-ip") writer.setAllowedIp(action.prefix, action.slot);
    }
  };
  const configure = (peers: readonly PeerConfiguration[]) => perform(device.configure({ peers }, performance.now()));
  return { tables, writer, configure };
}

function measureChanges(): void {
  const { configure } = makeTunnel();
  configure(Array.from({ length: CROWD }, (_, i) => peerOf(i)));
  const added: number[] = [];
  const removed: number[] = [];
  for (let i = 0; i < REPEATS; i++) {
    added.push(elapsedMs(() => configure([peerOf(CROWD + i)])));
    removed.push(elapsedMs(() => configure([{ publicKey: keyOf(CROWD + i), remove: true }])));
  }
  console.log(`device and tables, one peer among ${CROWD}: add ${formatMs(added)}, remove ${formatMs(removed)}`);
}

function measureMemory(): void {
  const { tables, writer, configure } = makeTunnel();
  const before = residentBytes(tables);
  configure(Array.from({ length: IDLE_PEERS }, (_, i) => peerOf(i)));
  const key = new Uint8Array(32).fill(1);
  for (let row = 0; row < IDLE_PEERS * SESSIONS_A_PEER; row++) {
    writer.addSession({
      slot: Math.floor(row / SESSIONS_A_PEER),
      localIndex: row,
      remoteIndex: row,
      sendKey: key,
      receiveKey: key,
      reportFirstPacket: false,
      rekeyAfterSendMs: 1,
      rekeyAfterReceiveMs: 1,
      rejectAfterMs: 1,
    });
  }
  const bytes = (residentBytes(tables) - before) / IDLE_PEERS;
  console.log(
    `tables, ${IDLE_PEERS} peers of ${SESSIONS_A_PEER} sessions and 2 prefixes: ${bytes.toFixed(0)} bytes resident each` +
      ` (a row has ${PEER_ROW_LENGTH_BYTES})`,
  );
}

/** Pages of the shared memory that are there, by /proc/self/pagemap (proc(5)): bit 63 of each page's entry. */
function residentBytes({ bytes }: SharedTables): number {
  const firstPage = Math.floor(ptr(bytes) / PAGE_BYTES);
  const entries = new Uint8Array(Math.ceil(bytes.length / PAGE_BYTES) * PAGE_ENTRY_BYTES);
  const fd = openSync("/proc/self/pagemap", "r");
  const readBytes = readSync(fd, entries, 0, entries.length, firstPage * PAGE_ENTRY_BYTES);
  closeSync(fd);
  let pages = 0;
  for (let end = PAGE_ENTRY_BYTES - 1; end < readBytes; end += PAGE_ENTRY_BYTES) if (entries[end]! & 0x80) pages++;
  return pages * PAGE_BYTES;
}

async function measureExecutable(): Promise<void> {
  const { command, version } = await findMinitail();
  await using lab = await Lab.create("peers");
  const host = await lab.host("many");
  const program = host.spawn(command(INTERFACE));
  const socketPath = host.path(`/run/wireguard/${INTERFACE}.sock`);
  await waitUntil("the interface", START_LIMIT_MS, () => {
    if (program.exit) throw new Error(`it ended at its start: ${program.stderr}`);
    return existsSync(socketPath);
  });
  try {
    await set(socketPath, [`private_key=${keyOf(1).toHex()}`]);
    await host.output(["ip", "link", "set", INTERFACE, "up"]);
    for (const peers of [0, IDLE_PEERS]) {
      if (peers > 0) {
        await set(
          socketPath,
          Array.from({ length: peers }, (_, i) => uapi(i)),
        );
      }
      console.log(`${version}, ${peers} idle peers: ${await measureIdle(program.pid)}`);
    }
    await set(
      socketPath,
      Array.from({ length: CROWD - IDLE_PEERS }, (_, i) => uapi(IDLE_PEERS + i)),
    );
    const added: number[] = [];
    const removed: number[] = [];
    for (let i = 0; i < 200; i++) {
      added.push(await elapsedMsOf(() => set(socketPath, [uapi(CROWD + i)])));
      removed.push(await elapsedMsOf(() => set(socketPath, [`public_key=${keyOf(CROWD + i).toHex()}\nremove=true`])));
    }
    console.log(`over the socket, one peer among ${CROWD}: add ${formatMs(added)}, remove ${formatMs(removed)}`);
    console.log(`${CROWD} peers: ${largestMemory([program.pid])!.anonymousMiB.toFixed(1)} MiB anonymous`);
  } finally {
    await program.stop();
  }
}

async function measureIdle(pid: number): Promise<string> {
  // What was configured last has settled by then.
  await Bun.sleep(1_000);
  const secondsBefore = processorSeconds([pid]);
  const switchesBefore = contextSwitches(pid);
  await Bun.sleep(IDLE_SECONDS * 1_000);
  const processorMs = (processorSeconds([pid]) - secondsBefore) * 1_000;
  const switches = [...contextSwitches(pid)].reduce((sum, [task, count]) => {
    return sum + count - (switchesBefore.get(task) ?? 0);
  }, 0);
  const memory = `${largestMemory([pid])!.anonymousMiB.toFixed(1)} MiB anonymous`;
  return `${processorMs.toFixed(0)} ms of processor time and ${switches} switches of threads in ${IDLE_SECONDS} s, ${memory}`;
}

function uapi(number: number): string {
  return [
    `public_key=${keyOf(number).toHex()}`,
    `endpoint=198.51.100.${1 + (number % 250)}:${1 + (number & 0x7fff)}`,
    `allowed_ip=10.${number >> 16}.${(number >> 8) & 0xff}.${number & 0xff}/32`,
  ].join("\n");
}

/** One request over the configuration socket, connection and answer included. */
async function set(path: string, lines: readonly string[]): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect(path);
  let answer = "";
  socket.on("data", (data: Buffer) => {
    answer += data.toString();
    if (!answer.endsWith("\n\n")) return;
    socket.destroy();
    resolve(answer);
  });
  socket.on("error", reject);
  socket.write(`set=1\n${lines.join("\n")}\n\n`);
  const text = await promise;
  if (text !== "errno=0\n\n") throw new Error(`the configuration was answered by ${text.trim()}`);
}

/** Of each thread, voluntary and not. */
function contextSwitches(pid: number): Map<string, number> {
  const tasks = readdirSync(`/proc/${pid}/task`);
  return new Map(
    tasks.map((task) => {
      const status = readFileSync(`/proc/${pid}/task/${task}/status`, "utf8");
      const counts = status.matchAll(/ctxt_switches:\s+(\d+)/g);
      return [task, [...counts].reduce((sum, [, count]) => sum + Number(count), 0)];
    }),
  );
}

function elapsedMs(action: () => void): number {
  const startMs = performance.now();
  action();
  return performance.now() - startMs;
}

async function elapsedMsOf(action: () => Promise<void>): Promise<number> {
  const startMs = performance.now();
  await action();
  return performance.now() - startMs;
}

function formatMs(times: readonly number[]): string {
  const slow = times.filter((ms) => ms >= 1).length;
  return `${median(times)!.toFixed(3)} ms (at most ${Math.max(...times).toFixed(1)}; ${slow} of ${times.length} took 1 ms or more)`;
}

try {
  console.log(formatMachine(await describeMachine()));
  measureChanges();
  measureMemory();
  if (process.getuid?.() !== 0)
    throw new MinitailError("not-permitted", "an interface takes root: the rest is left out");
  await measureExecutable();
} catch (error) {
  console.error(`bench:peers: ${errorMessage(error)}`);
  process.exitCode = 1;
}
