/** The built executable's command line, from outside. Needs root and the laboratory for the part that starts daemons. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually, Lab } from "../lab/index.ts";
import { type CommandOptions, type CommandResult, runCommand } from "../machine/command.ts";
import { MINITAIL } from "./mesh-node.ts";

const NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
const SECRET = "correct-horse-battery-staple";

let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "minitail-cli-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs it with a socket and a state directory where there are none. */
function minitail(line: string, options: CommandOptions = {}): Promise<CommandResult> {
  const environment = {
    MINITAIL_SOCKET: join(folder, "none.sock"),
    MINITAIL_STATE_DIR: join(folder, "state"),
    ...options.environment,
  };
  return runCommand([MINITAIL, ...line.split(" ")], { ...options, environment });
}

function commandLineOf(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ").trim();
}

describe("statuses and errors", () => {
  test.each<[string, number, string]>([
    ["up --jion x", 2, "unknown flag --jion; did you mean --join?"],
    ["up --join", 2, "--join needs a value; write --join=KEY"],
    ["up --port many", 2, '--port needs a port from 0 to 65535, not "many"; see minitail help up'],
    ["status surplus", 2, 'surplus argument "surplus" after status; see minitail help status'],
    ["stauts", 2, "unknown command stauts; did you mean status?"],
    ["help stauts", 2, "unknown command stauts; did you mean status?"],
    ["help key creat", 2, "unknown command key creat; did you mean key create?"],
    ["key", 2, "key needs a subcommand: create, list, revoke; see minitail help key"],
    ["ping", 2, "ping needs PEER; see minitail help ping"],
    ["ip -4 -6", 2, "-4 and -6 exclude each other; leave both out for all addresses"],
    [
      "up --secret file:/nonexistent",
      2,
      "cannot read /nonexistent for --secret: no such file or directory; write --secret=file:PATH with the path of a file that holds it",
    ],
  ])("%s: %d", async (line, status, message) => {
    expect(await minitail(line)).toEqual({ status, stdout: "", stderr: `minitail: ${message}\n` });
  });

  test.each(["status", "ip", "ping b", "key create", "registry status", "--json ip"])(
    "%s without a daemon: 3",
    async (line) => {
      const { status, stdout, stderr } = await minitail(line);
      expect([status, stdout]).toEqual([3, ""]);
      expect(stderr).toBe(`minitail: no daemon runs at ${folder}/none.sock; start it with minitail up\n`);
    },
  );

  test("down without a daemon: 3, and with --force nothing to do: 0", async () => {
    expect(await minitail("down")).toMatchObject({
      status: 3,
      stderr: expect.stringContaining("minitail down --force"),
    });
    expect(await minitail("down --force")).toEqual({ status: 0, stdout: "", stderr: "" });
  });

  test("status --json without a daemon", async () => {
    const { status, stdout, stderr } = await minitail("status --json");
    expect([status, stdout]).toEqual([3, '{"state":"stopped"}\n']);
    expect(stderr).toStartWith("minitail: no daemon runs");
  });

  test("a socket file that a killed daemon left is no daemon", async () => {
    const path = join(folder, "stale.sock");
    const server = Bun.listen({ unix: path, socket: { data() {} } });
    symlinkSync(path, join(folder, "stale-link"));
    server.stop(true);
    writeFileSync(path, "");
    expect(await minitail(`status --socket ${path}`)).toMatchObject({ status: 3 });
  });

  test("not root: 4, in one line", async () => {
    const closed = join(folder, "closed");
    mkdirSync(closed, { mode: 0o700 });
    for (const line of [`status --socket ${closed}/minitail.sock`, `up -d --state-dir ${closed}/state`]) {
      const result = await runCommand([...NOBODY, MINITAIL, ...line.split(" ")]);
      expect(result.status).toBe(4);
      expect(result.stderr).toMatch(/^minitail: [^\n]*permission denied[^\n]*root\n$/);
    }
  });

  test("not root: 4 for the files of a registry and of a killed daemon as well", async () => {
    const closed = join(folder, "closed-files");
    mkdirSync(closed, { mode: 0o700 });
    const at = `--state-dir ${closed}/state --socket ${folder}/nobody.sock`;
    for (const line of [`registry serve --listen 127.0.0.1:0 ${at}`, `logout --force ${at}`]) {
      const result = await runCommand([...NOBODY, MINITAIL, ...line.split(" ")]);
      expect([result.status, result.stderr]).toEqual([
        4,
        expect.stringMatching(/^minitail: cannot [^\n]*: permission denied; run it as root\n$/),
      ]);
      expect(result.stderr).not.toContain("EACCES");
    }
  });

  test("a daemon that does not answer is waited for aloud", async () => {
    const path = join(folder, "silent.sock");
    const server = Bun.listen({ unix: path, socket: { data() {} } });
    const child = Bun.spawn([MINITAIL, "status", "--socket", path], { stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    for await (const chunk of child.stderr) {
      said += new TextDecoder().decode(chunk);
      if (said.includes("\n")) break;
    }
    expect(said).toBe("waiting for the daemon\n");
    child.kill();
    await child.exited;
    server.stop(true);
  });

  test("--verbose shows where an error comes from, on stderr", async () => {
    const { status, stderr } = await minitail("status --verbose");
    expect(status).toBe(3);
    expect(stderr).toMatch(/^minitail: no daemon runs[^\n]*\n[\s\S]*\n\s+at /);
  });
});

describe("output", () => {
  test("JSON of version", async () => {
    const { stdout } = await minitail("version --json");
    expect(JSON.parse(stdout)).toMatchObject({ version: expect.stringMatching(/^\d+\.\d+\.\d+$/) });
  });

  test("colour on a terminal, unless NO_COLOR says no; none elsewhere", async () => {
    expect(await onTerminal(["help"], {})).toContain("\u001b[1mRunning\u001b[0m");
    expect(await onTerminal(["help"], { NO_COLOR: "1" })).not.toContain("\u001b");
    expect((await minitail("help")).stdout).not.toContain("\u001b");
  });

  test("a reader that leaves early disturbs nobody", async () => {
    const command = `"${MINITAIL}" help | head -1; exit \${PIPESTATUS[0]}`;
    const { status, stdout, stderr } = await runCommand(["bash", "-c", command]);
    expect([status, stdout.split("\n").length, stderr]).toEqual([0, 2, ""]);
  });

  test("called as wireguard-go it is minitail wireguard", async () => {
    const link = join(folder, "wireguard-go");
    symlinkSync(MINITAIL, link);
    expect(await runCommand([link])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("wireguard needs IFACE"),
    });
    expect((await runCommand([link, "--version"])).stdout).toStartWith("minitail ");
  });
});

/** What it writes to a terminal. */
async function onTerminal(args: readonly string[], environment: Readonly<Record<string, string>>): Promise<string> {
  const chunks: Uint8Array[] = [];
  const { NO_COLOR: _, ...inherited } = process.env;
  const child = Bun.spawn([MINITAIL, ...args], {
    env: { ...inherited, TERM: "xterm", ...environment },
    terminal: { cols: 120, rows: 40, data: (_terminal, data) => void chunks.push(data) },
  });
  expect(await child.exited).toBe(0);
  child.terminal?.close();
  return Buffer.concat(chunks).toString();
}

describe("registry serve", () => {
  const spawn = (...args: readonly string[]) =>
    Bun.spawn([MINITAIL, "registry", "serve", "--listen", "127.0.0.1:0", ...args], {
      env: { ...process.env, MINITAIL_STATE_DIR: join(folder, "registry") },
      stdio: ["ignore", "pipe", "pipe"],
    });

  const firstLine = async (stream: ReadableStream<Uint8Array>) => {
    let text = "";
    for await (const chunk of stream) {
      text += new TextDecoder().decode(chunk);
      if (text.includes("\n")) return text.slice(0, text.indexOf("\n"));
    }
    return text;
  };

  test("prints its URL; a token that was made is kept, and so is its key", async () => {
    const pins: string[] = [];
    for (let start = 0; start < 2; start++) {
      const child = spawn();
      const [url, hint] = await Promise.all([firstLine(child.stdout), firstLine(child.stderr)]);
      expect(url).toMatch(/^https:\/\/127\.0\.0\.1:\d+\/#pin=[\w-]{43}$/);
      pins.push(url.slice(url.indexOf("#")));
      const path = /file:(.*)$/.exec(hint)?.[1];
      expect(statSync(path!).mode & 0o777).toBe(0o600);
      expect(readFileSync(path!, "utf8").trim()).toMatch(/^[\w-]{43}$/);
      child.kill("SIGTERM");
      expect(await child.exited).toBe(0);
    }
    expect(pins[0]).toBe(pins[1]!);
  });

  test("--json: one object with the URL", async () => {
    const child = spawn("--json");
    const { url, tokenFile } = JSON.parse(await firstLine(child.stdout));
    expect(url).toMatch(/^https:\/\/127\.0\.0\.1:\d+\/#pin=[\w-]{43}$/);
    expect(statSync(tokenFile).mode & 0o777).toBe(0o600);
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
  });

  test("an address that the machine does not have", async () => {
    const result = await minitail("registry serve --listen 192.0.2.254:7500");
    expect([result.status, result.stderr]).toEqual([
      1,
      "minitail: cannot listen on 192.0.2.254:7500: this machine does not have that address; choose another with --listen\n",
    ]);
  });

  test("a token given as an argument is not in the process list", async () => {
    const child = spawn("--token", SECRET);
    await firstLine(child.stdout);
    const shown = commandLineOf(child.pid);
    expect(shown).not.toContain(SECRET);
    expect(shown).toContain("registry serve --listen 127.0.0.1:0 --token ***");
    child.kill("SIGINT");
    expect(await child.exited).toBe(0);
  });
});

describe("in the background", () => {
  test("up -d that can print nothing says that it runs", async () => {
    await using lab = await Lab.create("cli-detach-full");
    const host = await lab.host("a");
    const result = await host.run(["sh", "-c", `exec "${MINITAIL}" up -d --name a >/dev/full`]);
    expect([result.status, result.stderr]).toEqual([
      1,
      "minitail: it is up and runs in the background, but cannot write to stdout: no space left on device\n",
    ]);
    expect(JSON.parse(await host.output([MINITAIL, "status", "--json"]))).toMatchObject({ state: "running" });
    await host.output([MINITAIL, "down"]);
  }, 60_000);

  test("up -d returns when it is up; its secret is in no process list and no environment; down ends it", async () => {
    await using lab = await Lab.create("cli-detach");
    const host = await lab.host("a");
    const { stdout } = await host
      .output([MINITAIL, "up", "-d", "--secret", SECRET, "--name", "a"])
      .then((text) => ({ stdout: text }));
    expect(stdout).toContain("this machine is a");
    const pid = await eventually(
      "the daemon's process",
      () => processWith(["minitail", "up", "-d", "--secret", "***", "--name", "a"]),
      2000,
    );
    expect(commandLineOf(pid)).toBe("minitail up -d --secret *** --name a");
    expect(readFileSync(`/proc/${pid}/environ`, "latin1")).not.toContain(SECRET);
    expect(JSON.parse(await host.output([MINITAIL, "status", "--json"]))).toMatchObject({ state: "running" });
    const log = readFileSync(host.path("/var/lib/minitail/minitail.log"), "utf8");
    expect(log).not.toContain(SECRET);
    await host.output([MINITAIL, "down"]);
    await eventually(
      "the daemon's end",
      () => processWith(["minitail", "up", "-d", "--secret", "***", "--name", "a"]) === undefined,
      5000,
    );
    expect((await host.run([MINITAIL, "status"])).status).toBe(3);
  }, 60_000);

  test("up --json prints one object a line; what it cannot take back is said", async () => {
    await using lab = await Lab.create("cli-json");
    const host = await lab.host("a");
    const made = await host.run([MINITAIL, "up", "-d", "--json", "--name", "alpha", "--pool", "10.11.12.0/24"]);
    expect([made.status, made.stderr]).toEqual([0, ""]);
    const self = JSON.parse(made.stdout) as { self: { id: string; name: string; addresses: string[] } };
    expect(self.self).toMatchObject({ name: "alpha", addresses: ["10.11.12.1", expect.stringContaining(":")] });
    const { dataplane } = JSON.parse(await host.output([MINITAIL, "status", "--json"]));
    expect(dataplane.sealMicroseconds).toBeGreaterThan(0);
    expect(dataplane.openMicroseconds).toBeGreaterThan(0);
    expect(await host.output([MINITAIL, "status"])).toMatch(/^packets +\S+ \d+\.\d\d µs a packet, MTU 1280/m);
    const backup = await host.run([MINITAIL, "registry", "backup", "/run/absent/backup.sqlite"]);
    expect([backup.status, backup.stderr]).toEqual([
      1,
      "minitail: cannot write the backup /run/absent/backup.sqlite: no such file or directory; make room on the disk, or write it elsewhere\n",
    ]);
    expect((await host.run(["wg", "set", "minitail0", "listen-port", "1"])).stderr).toContain(
      "Operation not permitted",
    );
    await host.output([MINITAIL, "down"]);
    const late = await host.run([MINITAIL, "up", "-d", "--name", "omega", "--pool", "10.20.0.0/24"]);
    expect([late.status, late.stdout]).toEqual([0, expect.stringContaining("this machine is alpha, 10.11.12.1")]);
    expect(late.stderr).toBe(
      "warn: this machine is called alpha, not omega; minitail node rename alpha omega changes that\n" +
        "warn: the network's addresses are 10.11.12.0/24: --pool is for a new network\n",
    );
    await host.output([MINITAIL, "down"]);
    expect((await host.run([MINITAIL, "up", "-d", "--tun", ".."])).status).toBe(2);
    expect((await host.run([MINITAIL, "up", "-d"])).status).toBe(0);
    await host.output([MINITAIL, "down"]);
  }, 60_000);

  test("what keeps it from coming up is said by who started it, with its status", async () => {
    await using lab = await Lab.create("cli-detach-fails");
    const host = await lab.host("a");
    await host.output(["ip", "link", "add", "minitail0", "type", "bridge"]);
    const result = await host.run([MINITAIL, "up", "-d"]);
    expect(result).toMatchObject({ status: 1, stdout: "" });
    expect(result.stderr).toMatch(/^minitail: the interface minitail0 exists already; [^\n]*\n$/);
    const refused = await host.run([MINITAIL, "up", "-d", "--join", "nonsense"]);
    expect(refused.stderr).toMatch(/^minitail: [^\n]*\n$/);
    expect(refused.status).not.toBe(0);
  }, 60_000);

  test("wireguard returns when the interface is there", async () => {
    await using lab = await Lab.create("cli-wireguard");
    const host = await lab.host("a");
    await host.output([MINITAIL, "wireguard", "wg7"]);
    expect(await host.output(["ip", "-brief", "link", "show", "wg7"])).toStartWith("wg7 ");
    await host.output(["ip", "link", "delete", "wg7"]);
    await eventually("the process's end", () => processWith(["minitail", "wireguard", "wg7"]) === undefined, 5000);
    const bad = await host.run([MINITAIL, "wireguard", "wg7"], { env: { WG_TUN_FD: "x" } });
    expect(bad).toMatchObject({ status: 2, stderr: "minitail: WG_TUN_FD is the number of an open descriptor\n" });
  }, 60_000);

  test("wireguard hands a descriptor that it was given on to its copy", async () => {
    await using lab = await Lab.create("cli-descriptor");
    const host = await lab.host("a");
    await host.output([process.execPath, join(import.meta.dir, "tun-descriptor-program.ts"), MINITAIL, "wg8"]);
    // Who opened it has ended: the interface lives by the copy's descriptor.
    expect(await host.output(["wg", "show", "wg8"])).toContain("interface: wg8");
    await host.output(["rm", "/run/wireguard/wg8.sock"]);
    await eventually(
      "the interface's end",
      async () => (await host.run(["ip", "link", "show", "wg8"])).status !== 0,
      5000,
    );
  }, 60_000);
});

/** A process whose command line begins so. */
function processWith(words: readonly string[]): number | undefined {
  for (const pid of new Bun.Glob("[0-9]*").scanSync({ cwd: "/proc", onlyFiles: false })) {
    try {
      const shown = readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0");
      if (words.every((word, i) => shown[i] === word)) return Number(pid);
    } catch {
      // It ended meanwhile.
    }
  }
  return undefined;
}
