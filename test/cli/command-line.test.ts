import { describe, expect, test } from "bun:test";
import { type CommandDef, parseArgs } from "citty";
import { isMinitailError } from "../../src/base/errors.ts";
import { type CommandLine, environmentName, formatForCitty, readCommandLine } from "../../src/cli/command-line.ts";
import { rootCommand } from "../../src/cli/root.ts";
import { commandArguments } from "../../src/cli/run.ts";

type Environment = Readonly<Record<string, string>>;

const read = (line: string, environment: Environment = {}) =>
  readCommandLine(rootCommand, line === "" ? [] : line.split(" "), environment);

/** The error's message and hint, as they are printed. */
async function refusal(line: string, environment: Environment = {}): Promise<string> {
  try {
    const { path } = await read(line, environment);
    return `read as ${path.join(" ")}`;
  } catch (error) {
    if (!isMinitailError(error, "usage")) throw error;
    return `${error.message}; ${error.hint}`;
  }
}

const facts = ({ path, values, positionals }: CommandLine) => [path.join(" "), Object.fromEntries(values), positionals];

describe("lines that are right", () => {
  test.each<[string, string, Record<string, string | boolean>, string[]]>([
    ["", "", {}, []],
    ["status", "status", {}, []],
    ["status --json", "status", { json: true }, []],
    ["--json status", "status", { json: true }, []],
    ["--socket /s status --state-dir=/d", "status", { socket: "/s", "state-dir": "/d" }, []],
    ["status --peers=false", "status", { peers: false }, []],
    ["status --no-peers", "status", { peers: false }, []],
    ["status --no-peers --peers", "status", { peers: true }, []],
    ["status --active=true --json=0", "status", { active: true, json: false }, []],
    ["up -d", "up", { detach: true }, []],
    ["up --port 1 --port=2", "up", { port: "2" }, []],
    ["up --listen :1 --listen 127.0.0.1:2,[::1]:3", "up", { listen: ":1,127.0.0.1:2,[::1]:3" }, []],
    ["up --secret=-x --pool 10.11.12.0/24", "up", { secret: "-x", pool: "10.11.12.0/24" }, []],
    ["up --registry https://h:1/#pin=a=b", "up", { registry: "https://h:1/#pin=a=b" }, []],
    ["ping -c 3 b", "ping", { count: "3" }, ["b"]],
    ["ping -c3 b", "ping", { count: "3" }, ["b"]],
    ["ping -c=3 b", "ping", { count: "3" }, ["b"]],
    ["ping b --count 3 --until-direct", "ping", { count: "3", "until-direct": true }, ["b"]],
    ["ping -- --odd-name", "ping", {}, ["--odd-name"]],
    ["ping -", "ping", {}, ["-"]],
    ["ip -4", "ip", { ipv4: true }, []],
    ["ip -46 b", "ip", { ipv4: true, ipv6: true }, ["b"]],
    ["key create --reusable --tags tag:a,tag:b", "key create", { reusable: true, tags: "tag:a,tag:b" }, []],
    ["key --json create", "key create", { json: true }, []],
    ["wireguard -f wg0", "wireguard", { foreground: true }, ["wg0"]],
    ["registry serve --listen 127.0.0.1:0", "registry serve", { listen: "127.0.0.1:0" }, []],
  ])("%s", async (line, path, values, positionals) => {
    expect(facts(await read(line))).toEqual([path, values, positionals]);
  });
});

describe("lines that are wrong", () => {
  test.each([
    ["up --jion x", "unknown flag --jion; did you mean --join?"],
    ["up --jion=mt1:secret", "unknown flag --jion; did you mean --join?"],
    ["up --jion=x --help=maybe", "unknown flag --jion; did you mean --join?"],
    ["status --jsn", "unknown flag --jsn; did you mean --json?"],
    ["status -json", "unknown flag -json; did you mean --json?"],
    ["status --no-pers", "unknown flag --no-pers; did you mean --no-peers?"],
    ["up --no-port", "unknown flag --no-port; see minitail help up"],
    ["up -x", "unknown flag -x; see minitail help up"],
    ["ip -4x", "unknown flag -x; see minitail help ip"],
    ["status --frobnicate", "unknown flag --frobnicate; see minitail help status"],
    ["--join x up", "unknown flag --join; a command's flags come after its name; see minitail help"],
    ["upp", "unknown command upp; did you mean up?"],
    ["stauts", "unknown command stauts; did you mean status?"],
    ["frobnicate", "unknown command frobnicate; see minitail help"],
    ["key creat", "unknown command key creat; did you mean key create?"],
    ["key", "key needs a subcommand: create, list, revoke; see minitail help key"],
    ["registry", "registry needs a subcommand: serve, status, backup, move; see minitail help registry"],
    ["constructor", "unknown command constructor; see minitail help"],
    ["up --join", "--join needs a value; write --join=KEY"],
    ["up --join --detach", "--join needs a value; write --join=KEY"],
    ["up --join=", "--join needs a value; see minitail help up"],
    ["up --name=", "--name needs a value; see minitail help up"],
    ["ping b -c", "-c needs a value; write --count=COUNT"],
    ["up --port abc", '--port needs a port from 0 to 65535, not "abc"; see minitail help up'],
    ["up --port 65536", '--port needs a port from 0 to 65535, not "65536"; see minitail help up'],
    ["up --port 07", '--port needs a port from 0 to 65535, not "07"; see minitail help up'],
    ["up --mtu 100", '--mtu needs a size from 576 to 65535, not "100"; see minitail help up'],
    [
      "up --pool 10.0.0.1",
      '--pool needs an address and its length, as in 10.11.12.0/24, not "10.0.0.1"; see minitail help up',
    ],
    ["up --timeout 5", '--timeout needs a time above zero with its unit, as in 5s, not "5"; see minitail help up'],
    [
      "up --listen :1,:x",
      '--listen needs an address and a port, as in 0.0.0.0:7411 or :7411, not ":1,:x"; see minitail help up',
    ],
    ["ping b -c 0", '-c needs a whole number from 1, not "0"; see minitail help ping'],
    [
      "ping b --size 1",
      '--size needs a size in bytes: 16 to 1232, or to 48 below another MTU, not "1"; see minitail help ping',
    ],
    ["status --active=maybe", "--active is true or false; see minitail help status"],
    ["status --json=", "--json is true or false; see minitail help status"],
    ["status extra", 'surplus argument "extra" after status; see minitail help status'],
    ["status json", 'surplus argument "json" after status; did you mean --json?'],
    ["ping a b", 'surplus argument "b" after ping; see minitail help ping'],
    ["ping", "ping needs PEER; see minitail help ping"],
    ["wireguard -f", "wireguard needs IFACE; see minitail help wireguard"],
    // A secret that lost its flag, or a word of one that lacks its quotes, is not repeated.
    ["up mt1:abcdef", "up takes no argument without a flag; did you mean --join?"],
    ["up --secret correct horse", "up takes no argument without a flag; see minitail help up"],
    ["up detach", "up takes no argument without a flag; did you mean --detach?"],
  ])("%s", async (line, message) => {
    expect(await refusal(line)).toBe(message);
  });
});

describe("help", () => {
  test.each([
    ["--help", []],
    ["-h", []],
    ["up --help", ["up"]],
    ["--help up", ["up"]],
    ["key create -h", ["key", "create"]],
    ["key --help", ["key"]],
    ["up --bogus --help", ["up"]],
    ["ping --help", ["ping"]],
  ])("%s", async (line, path) => {
    const read_ = await read(line);
    expect(read_.wantsHelp).toBe(true);
    expect(read_.path).toEqual(path);
  });

  test("what follows -- does not ask for it", async () => {
    expect((await read("ping -- --help")).wantsHelp).toBe(false);
  });

  test("an unknown command stays one", async () => {
    expect(await refusal("upp --help")).toStartWith("unknown command upp");
  });
});

describe("the environment", () => {
  test("every flag of up may come from it, and a given flag wins", async () => {
    const environment = { MINITAIL_NAME: "e", MINITAIL_PORT: "1", MINITAIL_DETACH: "1", MINITAIL_STATE_DIR: "/e" };
    const { values } = await read("up --port 2", environment);
    expect(Object.fromEntries(values)).toEqual({ name: "e", port: "2", detach: true, "state-dir": "/e" });
  });

  test("its values are checked, by its name", async () => {
    expect(await refusal("up", { MINITAIL_PORT: "x" })).toStartWith("MINITAIL_PORT needs a port");
    expect(await refusal("up", { MINITAIL_DETACH: "maybe" })).toStartWith("MINITAIL_DETACH is true or false");
  });

  test("an empty variable is none", async () => {
    expect((await read("up", { MINITAIL_NAME: "" })).values.size).toBe(0);
  });

  test("other commands take from it only where the daemon is", async () => {
    const environment = { MINITAIL_SOCKET: "/e.sock", MINITAIL_JSON: "1", MINITAIL_ACTIVE: "1" };
    expect(Object.fromEntries((await read("status", environment)).values)).toEqual({ socket: "/e.sock" });
  });

  test("names", () => expect(environmentName("state-dir")).toBe("MINITAIL_STATE_DIR"));
});

describe("what stands for a command", () => {
  test.each([
    ["minitail", "--version", "version"],
    ["minitail", "--json --version", "version --json"],
    ["minitail", "--verbose --json --version", "version --verbose --json"],
    ["minitail", "--version --json", "version --json"],
    ["minitail", "status --version", "status --version"],
    ["/usr/bin/wireguard-go", "-f wg0", "wireguard -f wg0"],
    ["minitail-wireguard", "wg0", "wireguard wg0"],
    ["wireguard-go", "--version", "version"],
    ["minitail", "--json", "--json"],
  ])("%s %s: %s", (calledAs, line, meant) => {
    expect(commandArguments({ calledAs, args: line.split(" ") }).join(" ")).toBe(meant);
  });
});

describe("what citty is given", () => {
  test.each([
    ["ping -c3 --until-direct b", { count: "3", "until-direct": true, peer: "b", size: "56" }],
    ["ping -- --odd", { peer: "--odd" }],
    ["status --no-peers", { peers: false }],
    ["status", { peers: true }],
    ["up --secret=-x=y --listen :1 --listen :2", { secret: "-x=y", listen: ":1,:2" }],
    ["up --name --secret", undefined],
  ])("%s", async (line, expected) => {
    if (!expected) {
      expect(await refusal(line)).toBe("--name needs a value; write --name=NAME");
      return;
    }
    const command = await read(line);
    const args = parseArgs(formatForCitty(command), (command.command as CommandDef).args as never);
    expect(args).toMatchObject(expected);
  });
});
