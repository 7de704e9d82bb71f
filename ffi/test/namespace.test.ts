/** Network namespaces, judged by `ip netns`. Needs root. */

import { expect, test } from "bun:test";
import { existsSync, fstatSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  bindNamespace,
  changeLink,
  closeFd,
  createBridge,
  createNamedNamespace,
  createNamespace,
  deleteNamedNamespace,
  getLink,
  inNamespace,
  openNamespace,
  openNetlink,
  unbindNamespace,
} from "../src/index.ts";

const NAME = `bun-ffi-tun-test-${process.pid}`;

function namesSeenByIp(): string[] {
  const text = Bun.spawnSync(["ip", "-j", "netns"]).stdout.toString().trim();
  return text === "" ? [] : JSON.parse(text).map((entry: { name: string }) => entry.name);
}

function ownNamespace(): number {
  return statSync("/proc/thread-self/ns/net").ino;
}

test("an action runs inside, and the thread comes back, by return and by exception", () => {
  const before = ownNamespace();
  const fd = createNamespace();
  expect(ownNamespace()).toBe(before);
  const inside = inNamespace(fd, ownNamespace);
  expect(inside).toBe(fstatSync(fd).ino);
  expect(inside).not.toBe(before);
  expect(ownNamespace()).toBe(before);
  expect(() =>
    inNamespace(fd, () => {
      throw new Error("inside");
    }),
  ).toThrow("inside");
  expect(ownNamespace()).toBe(before);
  closeFd(fd);
});

test("nested", () => {
  const outer = createNamespace();
  const inner = createNamespace();
  const seen = inNamespace(outer, () => [ownNamespace(), inNamespace(inner, ownNamespace), ownNamespace()]);
  expect(seen).toEqual([fstatSync(outer).ino, fstatSync(inner).ino, fstatSync(outer).ino]);
  closeFd(outer);
  closeFd(inner);
});

test("Bun makes its sockets at once: inside", async () => {
  const fd = createNamespace();
  using netlink = inNamespace(fd, openNetlink);
  changeLink(netlink, getLink(netlink, "lo")!.index, { up: true });
  const seen = () => inNamespace(fd, () => Bun.spawnSync(["ss", "-Htuln"]).stdout.toString());
  const udp = await inNamespace(fd, () => Bun.udpSocket({ hostname: "127.0.0.1", port: 4711 }));
  const tcp = inNamespace(fd, () => Bun.listen({ hostname: "127.0.0.1", port: 4712, socket: { data() {} } }));
  const http = inNamespace(fd, () => Bun.serve({ hostname: "127.0.0.1", port: 4713, fetch: () => new Response() }));
  const client = await inNamespace(fd, () => Bun.connect({ hostname: "127.0.0.1", port: 4712, socket: { data() {} } }));
  for (const port of [4711, 4712, 4713]) expect(seen()).toContain(`127.0.0.1:${port} `);
  expect(client.remotePort).toBe(4712);
  client.end();
  udp.close();
  tcp.stop(true);
  await http.stop(true);
  closeFd(fd);
});

test("a socket made inside stays there", async () => {
  const fd = createNamespace();
  using netlink = inNamespace(fd, openNetlink);
  createBridge(netlink, "only-inside");
  using outside = openNetlink();
  expect(getLink(netlink, "only-inside")).toBeDefined();
  expect(getLink(outside, "only-inside")).toBeUndefined();
  closeFd(fd);
});

test("a program started inside is there, and found by its pid", async () => {
  const fd = createNamespace();
  const child = inNamespace(fd, () => Bun.spawn(["sleep", "60"]));
  const byPid = openNamespace(child.pid);
  expect(fstatSync(byPid).ino).toBe(fstatSync(fd).ino);
  child.kill("SIGKILL");
  await child.exited;
  closeFd(byPid);
  closeFd(fd);
});

test("a named one is what `ip netns add` makes", () => {
  const fd = createNamedNamespace(NAME);
  try {
    expect(namesSeenByIp()).toContain(NAME);
    using netlink = inNamespace(fd, openNetlink);
    createBridge(netlink, "eth7");
    expect(Bun.spawnSync(["ip", "netns", "exec", NAME, "ip", "link", "show", "eth7"]).exitCode).toBe(0);
    expect(() => createNamedNamespace(NAME)).toThrow("EEXIST");
    const again = openNamespace(`/run/netns/${NAME}`);
    expect(fstatSync(again).ino).toBe(fstatSync(fd).ino);
    closeFd(again);
  } finally {
    closeFd(fd);
    deleteNamedNamespace(NAME);
  }
  expect(namesSeenByIp()).not.toContain(NAME);
  deleteNamedNamespace(NAME);
});

test("names that would leave the folder are refused", () => {
  for (const name of ["", ".", "..", "a/b"]) expect(() => createNamedNamespace(name)).toThrow(RangeError);
});

test("one bound to a file outlives its descriptor, until it is unbound", () => {
  const folder = mkdtempSync(join(tmpdir(), "bun-ffi-tun-"));
  const path = join(folder, "network");
  const fd = createNamespace();
  const { ino } = fstatSync(fd);
  bindNamespace(fd, path);
  closeFd(fd);
  const again = openNamespace(path);
  expect(fstatSync(again).ino).toBe(ino);
  expect(inNamespace(again, ownNamespace)).toBe(ino);
  closeFd(again);
  unbindNamespace(path);
  expect(existsSync(path)).toBe(false);
  unbindNamespace(path);
  rmSync(folder, { recursive: true });
});

test("what does not exist is said", () => {
  expect(() => openNamespace("/run/netns/no-such-name")).toThrow("ENOENT");
});
