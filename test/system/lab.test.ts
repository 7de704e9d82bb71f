/** The laboratory itself: that its networks are networks, and that nothing of it remains. Needs root. */

import { describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { listAddresses } from "bun-ffi-tun";
import { cleanLabs, eventually, type Host, Lab } from "../lab/index.ts";

const LIMIT_MS = 5000;
const LABS_FOLDER = "/run/minitail-lab";

/** True if one `ping` is answered in that time: long for one that should be, short for one that should not. */
async function pings(from: Host, to: string, limitSeconds = 2): Promise<boolean> {
  return (await from.run(["ping", "-n", "-c", "1", "-W", String(limitSeconds), to])).status === 0;
}

/** A UDP socket of the test in the host's network, which answers every datagram with its sender's address. */
async function openEcho(host: Host, hostname: string, port: number) {
  const heardFrom: string[] = [];
  const socket = await host.inNetwork(() =>
    Bun.udpSocket({
      hostname,
      port,
      socket: {
        data(socket, _data, remotePort, remoteAddress) {
          heardFrom.push(remoteAddress);
          socket.send(remoteAddress, remotePort, remoteAddress);
        },
        // The sender is gone already: its host refuses the answer.
        error() {},
      },
    }),
  );
  return { heardFrom, [Symbol.dispose]: () => socket.close() };
}

/** Sends one datagram, and collects what comes back. */
async function sendUdp(host: Host, hostname: string, port: number) {
  const answers: string[] = [];
  const socket = await host.inNetwork(() =>
    Bun.udpSocket({
      hostname: hostname.includes(":") ? "::" : "0.0.0.0",
      socket: {
        data(_socket, data) {
          answers.push(data.toString());
        },
      },
    }),
  );
  socket.send("hello", port, hostname);
  return { answers, [Symbol.dispose]: () => socket.close() };
}

/** Two hosts on a switch: 192.0.2.1 and .2, 2001:db8::1 and ::2. */
async function twoHosts(lab: Lab): Promise<[Host, Host]> {
  const lan = lab.switch("lan");
  const hosts = await Promise.all([lab.host("a"), lab.host("b")]);
  for (const [i, host] of hosts.entries()) {
    host.connect(lan, { address: [`192.0.2.${i + 1}/24`, `2001:db8::${i + 1}/64`] });
  }
  return hosts;
}

describe("hosts", () => {
  test("on a switch ping each other at once, over IPv4 and IPv6", async () => {
    await using lab = await Lab.create("switch");
    const [a, b] = await twoHosts(lab);
    expect(await pings(a, "192.0.2.2")).toBe(true);
    expect(await pings(b, "2001:db8::1")).toBe(true);
    expect(await pings(a, "192.0.2.3", 0.3)).toBe(false);
  });

  test("joined by a cable of their own ping each other, and lose the carrier when it is cut", async () => {
    await using lab = await Lab.create("cable");
    const a = await lab.host("a");
    const b = await lab.host("b");
    const cable = a.connect(b, {
      address: "10.0.0.1/30",
      mtu: 1400,
      peer: { address: ["10.0.0.2/30", "fd00::2/64"], interfaceName: "wan" },
    });
    const carrierOf = (host: Host, name: string) => readFileSync(host.path(`/sys/class/net/${name}/carrier`), "latin1");
    expect(cable.far?.name).toBe("wan");
    expect(await pings(a, "10.0.0.2")).toBe(true);
    expect(await a.output(["ip", "link", "show", "eth0"])).toContain("mtu 1400");
    cable.cut();
    expect(await pings(a, "10.0.0.2", 0.3)).toBe(false);
    expect([carrierOf(a, "eth0"), carrierOf(b, "wan")]).toEqual(["0\n", "0\n"]);
    cable.restore();
    await eventually("b to answer again", () => pings(a, "10.0.0.2", 0.3), LIMIT_MS);
    cable.setLoss(1);
    expect(await pings(a, "10.0.0.2", 0.3)).toBe(false);
    expect([carrierOf(a, "eth0"), carrierOf(b, "wan")]).toEqual(["1\n", "1\n"]);
  });

  test("change their addresses", async () => {
    await using lab = await Lab.create("address");
    const [a, b] = await twoHosts(lab);
    b.cables[0]!.near.setAddresses({ address: "192.0.2.77/24", gateway: "192.0.2.1" });
    expect(await pings(a, "192.0.2.77")).toBe(true);
    expect(await pings(a, "192.0.2.2", 0.3)).toBe(false);
    expect(listAddresses(b.netlink).map(({ address }) => address.join("."))).not.toContain("192.0.2.2");
    expect(await b.output(["ip", "route", "show", "default"])).toContain("via 192.0.2.1 dev eth0");
  });

  test("lose a share of their packets", async () => {
    await using lab = await Lab.create("loss");
    const [a] = await twoHosts(lab);
    const answered = async () => {
      const { stdout } = await a.run(["ping", "-n", "-i", "0.002", "-c", "200", "-W", "0.3", "192.0.2.2"]);
      return Number(/(\d+) received/.exec(stdout)?.[1]);
    };
    lab.dropShare(a, 0.3);
    // Each way 70 % arrive: 98 of 200, with a standard deviation of 7.
    const some = await answered();
    expect(some).toBeGreaterThan(60);
    expect(some).toBeLessThan(140);
    lab.dropShare(a, 0);
    expect(await answered()).toBe(200);
  });

  test("have a name, /run and /var/lib of their own, and the machine's files", async () => {
    await using lab = await Lab.create("own");
    const a = await lab.host("a", { hostname: "alice", files: { "/etc/resolv.conf": "nameserver 192.0.2.53\n" } });
    const b = await lab.host("b");
    const machineResolvConf = existsSync("/etc/resolv.conf") ? readFileSync("/etc/resolv.conf", "latin1") : "";
    expect(await a.output(["hostname"])).toBe("alice\n");
    expect(await b.output(["hostname"])).toBe("b\n");
    expect(await a.output(["cat", "/etc/resolv.conf"])).toBe("nameserver 192.0.2.53\n");
    expect(await b.output(["cat", "/etc/resolv.conf"])).toBe(machineResolvConf);
    for (const folder of ["/run/wireguard", "/run/minitail", "/var/lib/minitail"]) {
      await a.output(["touch", `${folder}/only-a`]);
      expect(await b.output(["ls", folder])).toBe("");
      expect(existsSync(join(folder, "only-a"))).toBe(false);
      expect(existsSync(a.path(join(folder, "only-a")))).toBe(true);
    }
    expect(await a.output(["ls", "/var/run/wireguard"])).toBe("only-a\n");
    expect(await a.output(["ls", "/sys/class/net"])).toBe("lo\n");
    expect(await a.output(["pwd"])).toBe(`${process.cwd()}\n`);
    expect(await a.output(["cat", import.meta.path])).toContain("and the machine's files");
  });
});

describe("programs", () => {
  test("end with a status, or by a signal, and what they write is kept", async () => {
    await using lab = await Lab.create("programs");
    const a = await lab.host("a");
    const shell = (script: string) => ["sh", "-c", script];
    expect(await a.run(shell("echo out; echo err >&2; exit 3"))).toEqual({
      status: 3,
      signal: undefined,
      stdout: "out\n",
      stderr: "err\n",
    });
    expect(await a.run(shell("kill -9 $$"))).toMatchObject({ status: undefined, signal: "SIGKILL" });
    expect(await a.output(["cat"], { stdin: "typed" })).toBe("typed");
    expect(await a.output(shell("echo $COLOUR"), { env: { COLOUR: "red" } })).toBe("red\n");
    expect(await a.output(["pwd"], { cwd: "/usr" })).toBe("/usr\n");
    await expect(a.output(shell("echo no >&2; exit 1"))).rejects.toThrow(
      '"sh -c echo no >&2; exit 1" on a ended with 1: no',
    );
    await expect(a.run(["sleep", "60"], { limitMs: 50 })).rejects.toThrow('waited 50 ms for "sleep 60" to end');
  });

  test("that leave a daemon behind are not waited for", async () => {
    await using lab = await Lab.create("daemon");
    const a = await lab.host("a");
    const startMs = performance.now();
    expect(await a.output(["sh", "-c", "echo started; sleep 60 & exit 0"])).toBe("started\n");
    expect(performance.now() - startMs).toBeLessThan(2000);
  });

  test("are waited for and stopped", async () => {
    await using lab = await Lab.create("waiting");
    const a = await lab.host("a");
    const program = a.spawn(
      ["sh", "-c", "trap 'echo bye; exit 7' TERM; echo ready-42; while read line; do echo got $line; done"],
      {
        stdin: "pipe",
      },
    );
    expect((await program.waitForOutput(/ready-(\d+)/, LIMIT_MS))[1]).toBe("42");
    program.write("this\n");
    await program.waitForOutput(/got this/, LIMIT_MS);
    expect(program.exit).toBeUndefined();
    await expect(program.waitForOutput(/never/, 30)).rejects.toThrow(
      /waited 30 ms for .* to write \/never\/.*it runs.*got this/,
    );
    program.kill("SIGTERM");
    expect(await program.stop()).toEqual({ status: 7, signal: undefined });
    expect(program.stdout).toContain("bye");
    await expect(program.waitForOutput(/never/, LIMIT_MS)).rejects.toThrow(/never wrote \/never\/: it ended \(7\)/);
    const stubborn = a.spawn(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 60; done"]);
    await stubborn.waitForOutput(/ready/, LIMIT_MS);
    await expect(stubborn.stop("SIGTERM", 50)).rejects.toThrow("waited 50 ms");
    expect((await stubborn.waitForExit(LIMIT_MS)).signal).toBe("SIGKILL");
  });

  test("of the same name don't meet: two wireguard-go, and wg", async () => {
    await using lab = await Lab.create("wireguard");
    const [a, b] = await twoHosts(lab);
    const c = await lab.host("c");
    for (const host of [a, b]) await host.output(["wireguard-go", "wg0"]);
    const keys = await Promise.all(
      [a, b].map(async (host) => {
        const key = await host.output(["wg", "genkey"]);
        await host.output(["wg", "set", "wg0", "private-key", "/dev/stdin"], { stdin: key });
        return await host.output(["wg", "show", "wg0", "public-key"]);
      }),
    );
    expect(keys[0]).toMatch(/^.{44}\n$/);
    expect(keys[0]).not.toBe(keys[1]!);
    expect(await c.output(["wg", "show", "interfaces"])).toBe("");
    expect(readdirSync(a.path("/run/wireguard"))).toEqual(["wg0.sock"]);
  });

  test("and sockets of the test meet in the network", async () => {
    await using lab = await Lab.create("sockets");
    const [a, b] = await twoHosts(lab);
    using echo = await openEcho(b, "192.0.2.2", 7000);
    await a.output(["socat", "-u", "-", "UDP4:192.0.2.2:7000"], { stdin: "x" });
    expect(await eventually("the datagram", () => echo.heardFrom[0], LIMIT_MS)).toBe("192.0.2.1");
  });
});

describe("routers", () => {
  /** `inner` — `router` — `outer`: 192.168.1.2 and fd01::2 inside, 198.51.100.2 and 2001:db8::2 outside. */
  async function routed(lab: Lab, kind: "open" | "easy" | "blocks-udp" | "firewall") {
    const [inner, router, outer] = await Promise.all([lab.host("inner"), lab.router("r", { kind }), lab.host("outer")]);
    router.connect(inner, {
      address: ["192.168.1.1/24", "fd01::1/64"],
      peer: { address: ["192.168.1.2/24", "fd01::2/64"], gateway: ["192.168.1.1", "fd01::1"] },
    });
    router.connect(outer, {
      side: "outside",
      address: ["198.51.100.1/24", "2001:db8::1/64"],
      // A way in even to the private addresses, so that it is the router's rules that keep strangers out.
      peer: { address: ["198.51.100.2/24", "2001:db8::2/64"], gateway: ["198.51.100.1", "2001:db8::1"] },
    });
    return { inner, router, outer };
  }

  /** What the outer host sees as the sender of a datagram from inside. */
  async function outerSees({ inner, outer }: { inner: Host; outer: Host }, address: string): Promise<string> {
    using _echo = await openEcho(outer, address, 7000);
    using client = await sendUdp(inner, address, 7000);
    return await eventually("an answer from outside", () => client.answers[0], LIMIT_MS);
  }

  /** Who a host inside hears from when the outer host sends to it unasked. */
  async function unaskedFromOutside({ inner, outer }: { inner: Host; outer: Host }, address: string) {
    using echo = await openEcho(inner, address, 7001);
    using _client = await sendUdp(outer, address, 7001);
    // The datagram was there, or dropped, before this later round trip.
    expect(await pings(inner, address.includes(":") ? "2001:db8::2" : "198.51.100.2")).toBe(true);
    return [...echo.heardFrom];
  }

  test("open: everything passes, as it is", async () => {
    await using lab = await Lab.create("open");
    const net = await routed(lab, "open");
    expect(await outerSees(net, "198.51.100.2")).toBe("192.168.1.2");
    expect(await outerSees(net, "2001:db8::2")).toBe("fd01::2");
    expect(await unaskedFromOutside(net, "192.168.1.2")).toEqual(["198.51.100.2"]);
    expect(await unaskedFromOutside(net, "fd01::2")).toEqual(["2001:db8::2"]);
  });

  test("easy: IPv4 leaves with the router's address, answers come in, strangers don't", async () => {
    await using lab = await Lab.create("easy");
    const net = await routed(lab, "easy");
    expect(await outerSees(net, "198.51.100.2")).toBe("198.51.100.1");
    expect(await outerSees(net, "2001:db8::2")).toBe("fd01::2");
    expect(await unaskedFromOutside(net, "192.168.1.2")).toEqual([]);
    expect(await unaskedFromOutside(net, "fd01::2")).toEqual([]);
  });

  test("blocks-udp: ping and TCP pass, UDP does not", async () => {
    await using lab = await Lab.create("blocks-udp");
    const net = await routed(lab, "blocks-udp");
    for (const address of ["198.51.100.2", "2001:db8::2"]) {
      using echo = await openEcho(net.outer, address, 7000);
      using _client = await sendUdp(net.inner, address, 7000);
      expect(await pings(net.inner, address)).toBe(true);
      expect(echo.heardFrom).toEqual([]);
    }
    const tcp = net.outer.inNetwork(() =>
      Bun.listen({
        hostname: "198.51.100.2",
        port: 7000,
        socket: {
          open: (socket) => void socket.end(`${socket.remoteAddress}\n`),
          data() {},
        },
      }),
    );
    expect(await net.inner.output(["socat", "-u", "TCP4:198.51.100.2:7000", "-"])).toBe("198.51.100.1\n");
    tcp.stop(true);
    expect(await unaskedFromOutside(net, "192.168.1.2")).toEqual([]);
  });

  test("firewall: addresses stay, answers come in, strangers don't", async () => {
    await using lab = await Lab.create("firewall");
    const net = await routed(lab, "firewall");
    expect(await outerSees(net, "198.51.100.2")).toBe("192.168.1.2");
    expect(await outerSees(net, "2001:db8::2")).toBe("fd01::2");
    expect(await unaskedFromOutside(net, "192.168.1.2")).toEqual([]);
    expect(await unaskedFromOutside(net, "fd01::2")).toEqual([]);
    expect(await pings(net.outer, "192.168.1.2", 0.3)).toBe(false);
  });
});

describe("what remains", () => {
  /** What the machine shows of its network and mounts, and of the laboratories of this process. */
  function machineState() {
    const run = (...command: string[]) => Bun.spawnSync(command).stdout.toString();
    const links: { ifname: string; flags: string[] }[] = JSON.parse(run("ip", "-j", "link"));
    return {
      links: links.map(({ ifname, flags }) => `${ifname} ${flags}`),
      namespaces: run("ip", "netns"),
      rules: run("nft", "list", "ruleset"),
      mounts: readFileSync("/proc/mounts", "latin1")
        .split("\n")
        // Of tests that run at the same time in other processes.
        .filter((line) => !line.includes(LABS_FOLDER) || line.includes(`${LABS_FOLDER}/${process.pid}-`)),
      folders: foldersOf(process.pid),
      runFolder: readdirSync("/run").filter((entry) => entry !== "minitail-lab"),
      stateFolder: readdirSync("/var/lib"),
    };
  }

  function foldersOf(pid: number): string[] {
    return existsSync(LABS_FOLDER) ? readdirSync(LABS_FOLDER).filter((entry) => entry.startsWith(`${pid}-`)) : [];
  }

  function isRunning(pid: number): boolean {
    return existsSync(`/proc/${pid}/ns/net`) && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "latin1"));
  }

  test("nothing, neither of a laboratory that ended nor of one whose test threw", async () => {
    const before = machineState();
    const pids: number[] = [];
    const fail = async () => {
      await using lab = await Lab.create("throws");
      const [a, b] = await twoHosts(lab);
      const program = a.spawn(["sh", "-c", "setsid sleep 600 & echo $!; exec sleep 600"]);
      pids.push(program.pid, Number((await program.waitForOutput(/\d+/, LIMIT_MS))[0]));
      lab.dropShare(b, 0.5);
      expect(foldersOf(process.pid)).toHaveLength(1);
      expect(pids.map(isRunning)).toEqual([true, true]);
      const { links, namespaces, rules } = machineState();
      expect({ links, namespaces, rules }).toEqual({
        links: before.links,
        namespaces: before.namespaces,
        rules: before.rules,
      });
      throw new Error("the test failed");
    };
    await expect(fail()).rejects.toThrow("the test failed");
    await eventually(
      "the failing test to end",
      () => pids.length === 2 && foldersOf(process.pid).length === 0,
      LIMIT_MS,
    );
    expect(machineState()).toEqual(before);
    expect(pids.map(isRunning)).toEqual([false, false]);
  });

  test("nothing to do for a laboratory that is disposed of twice", async () => {
    await using lab = await Lab.create("twice");
    await lab.host("a");
    await lab[Symbol.asyncDispose]();
    expect(foldersOf(process.pid)).toEqual([]);
  });

  test("of a process killed with SIGKILL: what the cleaner removes, and no more", async () => {
    await using living = await Lab.create("living");
    const [a] = await twoHosts(living);
    const child = Bun.spawn([process.execPath, join(import.meta.dir, "lab-child.ts")], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    let said = "";
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      said += text;
      if (said.endsWith("\n")) break;
    }
    const { daemonPid } = JSON.parse(said);
    expect(isRunning(daemonPid)).toBe(true);
    await cleanLabs();
    expect(isRunning(daemonPid)).toBe(true);
    expect(foldersOf(child.pid)).toHaveLength(1);
    child.kill("SIGKILL");
    await child.exited;
    await cleanLabs();
    expect(isRunning(daemonPid)).toBe(false);
    expect(foldersOf(child.pid)).toEqual([]);
    expect(readFileSync("/proc/mounts", "latin1")).not.toContain(`${LABS_FOLDER}/${child.pid}-`);
    expect(await pings(a, "192.0.2.2")).toBe(true);
  });

  test("nothing of a folder that a restart of the machine left without its mounts", async () => {
    const folder = join(LABS_FOLDER, `${process.pid}-1-1-restarted`);
    await Bun.write(join(folder, "a"), "");
    await cleanLabs();
    expect(existsSync(folder)).toBe(false);
  });
});

describe("laboratories", () => {
  test("in parallel don't meet, whatever names and addresses they have", async () => {
    const answers = await Promise.all(
      Array.from({ length: 4 }, async (_, i) => {
        await using lab = await Lab.create("twin");
        const [a, b] = await twoHosts(lab);
        await b.output(["sh", "-c", `echo ${i} > /run/minitail/which`]);
        expect(await pings(a, "192.0.2.2")).toBe(true);
        return (await b.output(["cat", "/run/minitail/which"])).trim();
      }),
    );
    expect(answers).toEqual(["0", "1", "2", "3"]);
  });

  const MOST_ROUNDS = 30;

  test("are made quickly: two hosts in 200 ms, ten in a second", async () => {
    const fastest = { two: Number.POSITIVE_INFINITY, ten: Number.POSITIVE_INFINITY };
    // Other tests may have the processors: what counts is how fast it can be.
    for (let round = 0; round < MOST_ROUNDS && (fastest.two > 200 || fastest.ten > 1000); round++) {
      for (const [key, count] of [
        ["two", 2],
        ["ten", 10],
      ] as const) {
        const startMs = performance.now();
        await using lab = await Lab.create("quick");
        const lan = lab.switch("lan");
        const hosts = await Promise.all(Array.from({ length: count }, (_, i) => lab.host(`h${i}`)));
        for (const [i, host] of hosts.entries()) host.connect(lan, { address: `192.0.2.${i + 1}/24` });
        fastest[key] = Math.min(fastest[key], performance.now() - startMs);
        expect(await pings(hosts[0]!, `192.0.2.${count}`)).toBe(true);
      }
    }
    expect(fastest.two).toBeLessThan(200);
    expect(fastest.ten).toBeLessThan(1000);
  });

  test("say who may not make them", async () => {
    const folder = mkdtempSync(join(tmpdir(), "minitail-lab-test-"));
    try {
      const bundle = await Bun.build({
        entrypoints: [join(import.meta.dir, "lab-child.ts")],
        target: "bun",
      });
      writeFileSync(join(folder, "child.js"), await bundle.outputs[0]!.text());
      expect(Bun.spawnSync(["chmod", "-R", "a+rX", folder]).exitCode).toBe(0);
      const drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
      const { stderr, exitCode } = Bun.spawnSync([...drop, process.execPath, join(folder, "child.js")], { cwd: "/" });
      expect(stderr.toString()).toContain("the laboratory needs Linux and root: it makes network namespaces");
      expect(exitCode).toBe(1);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("refuse what is no name or address", async () => {
    await expect(Lab.create("../escape")).rejects.toThrow(TypeError);
    await using lab = await Lab.create("names");
    const a = await lab.host("a");
    const lan = lab.switch("lan");
    await expect(lab.host("a/b")).rejects.toThrow(TypeError);
    await expect(lab.host("a")).rejects.toThrow("EEXIST");
    expect(() => a.connect(lan, { address: "192.0.2.1" })).toThrow('"192.0.2.1" is no address with prefix length');
    expect(() => a.connect(lan, { gateway: "192.0.2" })).toThrow('"192.0.2" is no IP address');
    expect(() => a.connect(lan, { interfaceName: "sixteen-letters-" })).toThrow("EINVAL");
    await expect(lab.host("b", { files: { "/no/such/folder/file": "" } })).rejects.toThrow(
      "host b could not be made: mount:",
    );
  });
});

describe("eventually", () => {
  test("answers what the condition does, at last", async () => {
    let asked = 0;
    expect(await eventually("three questions", () => ++asked === 3 && `asked ${asked}`, LIMIT_MS)).toBe("asked 3");
    expect(await eventually("zero, which is an answer", async () => 0, LIMIT_MS)).toBe(0);
  });

  test("says what it waited for, and the last state", async () => {
    await expect(eventually("rain", () => false, 10)).rejects.toThrow(
      "waited 10 ms for rain; last state: the condition answered false",
    );
    const state = () => {
      throw new Error("3 of 4\nclouds");
    };
    await expect(eventually("rain", state, 10)).rejects.toThrow("waited 10 ms for rain; last state: 3 of 4 clouds");
    await expect(eventually("rain", () => new Promise<true>(() => {}), 10)).rejects.toThrow(
      "waited 10 ms for rain; last state: the condition never answered, then did not answer",
    );
  });
});
