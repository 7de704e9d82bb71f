/** The configuration socket as `wg` itself uses it. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatKey } from "../../src/base/key.ts";
import { uapiSocketPath } from "../../src/uapi/socket-file.ts";

const INTERFACE = `mtu${process.pid}`;
const PRIVATE_KEY = formatKey(new Uint8Array(32).fill(0x48));
const PUBLIC_KEYS = [0x11, 0x22, 0x33].map((byte) => formatKey(new Uint8Array(32).fill(byte)));
const PRESHARED_KEY = formatKey(new Uint8Array(32).fill(0x44));

let folder = "";
let server: Bun.Subprocess<"ignore", "pipe", "inherit">;
let output: { read(): Promise<{ value?: Uint8Array | undefined }> };

/** The next line, or lines, that the server prints. */
async function nextOutput(): Promise<string> {
  const { value } = await output.read();
  return new TextDecoder().decode(value).trim();
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "minitail-uapi-"));
  server = Bun.spawn([process.execPath, join(import.meta.dir, "uapi-server-program.ts"), INTERFACE], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  output = server.stdout.getReader();
  expect(await nextOutput()).toBe("ready");
});

afterAll(async () => {
  server.kill();
  await server.exited;
  rmSync(uapiSocketPath(INTERFACE), { force: true });
  rmSync(folder, { recursive: true });
});

function wg(...parameters: string[]): { status: number | null; stdout: string; stderr: string } {
  const ended = Bun.spawnSync(["wg", ...parameters], { timeout: 20_000 });
  return { status: ended.exitCode, stdout: ended.stdout.toString(), stderr: ended.stderr.toString() };
}

function wgOk(...parameters: string[]): string {
  const ended = wg(...parameters);
  expect(ended).toMatchObject({ status: 0, stderr: "" });
  return ended.stdout;
}

function configurationFile(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

const FIRST = `[Interface]
PrivateKey = ${PRIVATE_KEY}
ListenPort = 7411
FwMark = 0xca6c

[Peer]
PublicKey = ${PUBLIC_KEYS[0]}
PresharedKey = ${PRESHARED_KEY}
Endpoint = 192.0.2.1:51820
AllowedIPs = 10.1.0.0/16, fd00:1::/64
PersistentKeepalive = 25

[Peer]
PublicKey = ${PUBLIC_KEYS[1]}
Endpoint = [2001:db8::2]:51821
AllowedIPs = 10.2.0.0/16
`;

test("setconf and showconf", () => {
  wgOk("setconf", INTERFACE, configurationFile("first.conf", FIRST));
  const shown = wgOk("showconf", INTERFACE);
  for (const line of FIRST.split("\n").filter((each) => each !== "")) expect(shown).toContain(line);
});

test("show", () => {
  expect(wgOk("show", "interfaces").split(/\s+/)).toContain(INTERFACE);
  expect(wgOk("show", INTERFACE, "listen-port").trim()).toBe("7411");
  expect(wgOk("show", INTERFACE, "fwmark").trim()).toBe("0xca6c");
  expect(wgOk("show", INTERFACE, "latest-handshakes")).toContain(`${PUBLIC_KEYS[0]}\t0`);
  expect(wgOk("show", INTERFACE, "transfer")).toContain(`${PUBLIC_KEYS[1]}\t2001\t1001`);
  expect(wgOk("show", INTERFACE, "dump").trim().split("\n").length).toBe(3);
  expect(wgOk("show", INTERFACE)).toContain("allowed ips: 10.1.0.0/16, fd00:1::/64");
});

test("syncconf: a peer goes, a peer comes, a peer changes", () => {
  const second = FIRST.replace(PUBLIC_KEYS[1]!, PUBLIC_KEYS[2]!)
    .replace("fd00:1::/64", "fd00:9::/64")
    .replace("PersistentKeepalive = 25\n", "");
  wgOk("syncconf", INTERFACE, configurationFile("second.conf", second));
  const shown = wgOk("showconf", INTERFACE);
  expect(shown).not.toContain(PUBLIC_KEYS[1]!);
  expect(shown).toContain(PUBLIC_KEYS[2]!);
  expect(shown).toContain("AllowedIPs = 10.1.0.0/16, fd00:9::/64");
});

test("set: each of its parameters", () => {
  const key = configurationFile("key", `${PRESHARED_KEY}\n`);
  wgOk(
    "set",
    INTERFACE,
    "peer",
    PUBLIC_KEYS[1]!,
    "preshared-key",
    key,
    "endpoint",
    "127.0.0.1:9",
    "allowed-ips",
    "10.9.0.0/24",
  );
  wgOk("set", INTERFACE, "peer", PUBLIC_KEYS[1]!, "persistent-keepalive", "7");
  expect(wgOk("show", INTERFACE, "dump")).toContain(
    `${PUBLIC_KEYS[1]}\t${PRESHARED_KEY}\t127.0.0.1:9\t10.9.0.0/24\t0\t2002\t1002\t7`,
  );
  wgOk("set", INTERFACE, "peer", PUBLIC_KEYS[1]!, "preshared-key", "/dev/null", "persistent-keepalive", "off");
  wgOk("set", INTERFACE, "listen-port", "0", "fwmark", "off", "private-key", "/dev/null");
  expect(wgOk("show", INTERFACE, "dump").split("\n")[0]).toBe("(none)\t(none)\t0\toff");
  wgOk("set", INTERFACE, "peer", PUBLIC_KEYS[1]!, "remove");
  expect(wgOk("show", INTERFACE, "peers")).not.toContain(PUBLIC_KEYS[1]!);
});

test("65,000 allowed IPs and 500 peers in one setconf", () => {
  let text = "[Interface]\n";
  for (let i = 0; i < 500; i++) {
    const publicKey = new Uint8Array(32).fill(1);
    publicKey[0] = i & 0xff;
    publicKey[1] = i >> 8;
    const prefixes = Array.from({ length: 130 }, (_, j) => `10.${i >> 1}.${((i & 1) << 7) + (j & 127)}.${j >> 7}/32`);
    text += `[Peer]\nPublicKey = ${formatKey(publicKey)}\nAllowedIPs = ${prefixes.join(", ")}\n`;
  }
  wgOk("setconf", INTERFACE, configurationFile("large.conf", text));
  expect(wgOk("show", INTERFACE, "peers").trim().split("\n").length).toBe(500);
  expect(wgOk("show", INTERFACE, "allowed-ips").match(/\/32/g)?.length).toBe(65_000);
}, 30_000);

test("what is refused is said in words", () => {
  // No endpoint with a zone: the one value that wg takes and we do not.
  const ended = wg("set", INTERFACE, "peer", PUBLIC_KEYS[0]!, "endpoint", "[fe80::1%lo]:9");
  expect(ended.status).not.toBe(0);
  expect(ended.stderr).toContain("Invalid argument");
});

test("a second server says that the interface is taken", () => {
  const program = join(import.meta.dir, "uapi-server-program.ts");
  const second = Bun.spawnSync([process.execPath, program, INTERFACE], { timeout: 10_000 });
  expect(second.exitCode).not.toBe(0);
  expect(second.stderr.toString()).toContain("is in use");
  wgOk("show", INTERFACE);
});

test("removing the socket's file ends it", async () => {
  unlinkSync(uapiSocketPath(INTERFACE));
  expect(await nextOutput()).toBe("removed");
  expect(await server.exited).toBe(0);
  expect(existsSync(uapiSocketPath(INTERFACE))).toBe(false);
});
