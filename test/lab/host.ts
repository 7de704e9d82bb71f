/**
 * A host: a network, a name, /run and /var/lib of its own, on the machine's file system. Programs run on it, and sockets
 * of the test itself can be opened in its network.
 */

import { changeLink, closeFd, getLink, inNamespace, type NetlinkSocket, openNetlink } from "bun-ffi-tun";
import { Cable } from "./cable.ts";
import type { Keeper } from "./keeper.ts";
import { type Addressing, NetworkInterface } from "./network-interface.ts";
import { type Exit, HostProcess, type SpawnOptions } from "./process.ts";
import type { Port, Switch, SwitchRoom } from "./switch-room.ts";
import { writeSysctl } from "./sysctl.ts";

const RUN_LIMIT_MS = 30_000;

/** One host's end of a cable. */
export interface EndOptions extends Addressing {
  /** Default: `eth0`, `eth1`, ...; of a router `in0`, ..., `out0`, .... */
  readonly interfaceName?: string;
  /** Of a router: which side of it. Default `"inside"`. */
  readonly side?: "inside" | "outside";
}

export interface ConnectOptions extends EndOptions {
  /** Of both ends. Default 1500. */
  readonly mtu?: number;
  /** The other host's end, if it is no switch. */
  readonly peer?: EndOptions;
}

export interface RunOptions extends SpawnOptions {
  /** Default 30 s; then it is killed, and `run` fails. */
  readonly limitMs?: number;
}

export interface RunResult extends Exit {
  readonly stdout: string;
  readonly stderr: string;
}

/** What a laboratory made a host of. */
export interface HostParts {
  readonly name: string;
  readonly namespaceFd: number;
  readonly keeper: Keeper;
  readonly room: SwitchRoom;
}

export class Host {
  readonly name: string;
  /** Descriptor of its network namespace. */
  readonly namespaceFd: number;
  /** For questions and changes by `bun-ffi-tun`: `listRoutes(host.netlink)`. */
  readonly netlink: NetlinkSocket;
  readonly cables: Cable[] = [];
  readonly #keeper: Keeper;
  readonly #room: SwitchRoom;
  readonly #interfacesByPrefix = new Map<string, number>();

  constructor({ name, namespaceFd, keeper, room }: HostParts) {
    this.name = name;
    this.namespaceFd = namespaceFd;
    this.#keeper = keeper;
    this.#room = room;
    this.netlink = inNamespace(namespaceFd, openNetlink);
    changeLink(this.netlink, getLink(this.netlink, "lo")!.index, { up: true });
    // Addresses are usable at once, and nobody has any but those that the test gives.
    for (const scope of ["all", "default"]) {
      this.setSysctl(`net.ipv6.conf.${scope}.accept_dad`, 0);
      this.setSysctl(`net.ipv6.conf.${scope}.accept_ra`, 0);
      // As systemd's distributions have it, whatever this machine has.
      this.setSysctl(`net.ipv4.conf.${scope}.rp_filter`, 2);
    }
  }

  /** Plugs a cable into this host and `to`, and gives its ends these addresses. They can be used when it returns. */
  connect(to: Switch | Host, options: ConnectOptions = {}): Cable {
    const { mtu, peer = {} } = options;
    let cable: Cable;
    if (to instanceof Host) {
      const between = this.#room.createSwitch(`${this.name}-${to.name}`);
      const near = this.#plugInto(between, options, mtu);
      const far = to.#plugInto(between, peer, mtu);
      cable = new Cable(this.#room, near.end, far.end, [near.port, far.port]);
      to.cables.push(cable);
    } else {
      const near = this.#plugInto(to, options, mtu);
      cable = new Cable(this.#room, near.end, undefined, [near.port]);
    }
    this.cables.push(cable);
    return cable;
  }

  #plugInto(to: Switch, options: EndOptions, mtu: number | undefined): { end: NetworkInterface; port: Port } {
    const interfaceName = options.interfaceName ?? this.#nextInterfaceName(this.interfacePrefix(options));
    const port = this.#room.plug(to, { namespaceFd: this.namespaceFd, interfaceName, mtu });
    const { index } = getLink(this.netlink, interfaceName)!;
    changeLink(this.netlink, index, { up: true });
    const end = new NetworkInterface(this.netlink, interfaceName, index);
    end.setAddresses(options);
    return { end, port };
  }

  #nextInterfaceName(prefix: string): string {
    const number = this.#interfacesByPrefix.get(prefix) ?? 0;
    this.#interfacesByPrefix.set(prefix, number + 1);
    return `${prefix}${number}`;
  }

  protected interfacePrefix(_options: EndOptions): string {
    return "eth";
  }

  /** Starts a program. It ends with the laboratory at the latest. */
  spawn(command: readonly string[], options: SpawnOptions = {}): HostProcess {
    const target = String(this.#keeper.pid);
    const folder = options.cwd ?? process.cwd();
    const enter = ["nsenter", "--target", target, "--net", "--mount", "--uts", `--wdns=${folder}`, "--"];
    return new HostProcess(enter, command, options);
  }

  /** Runs a program to its end, whatever that is. @throws Error if it takes longer than `limitMs` */
  async run(command: readonly string[], { limitMs = RUN_LIMIT_MS, ...options }: RunOptions = {}): Promise<RunResult> {
    const program = this.spawn(command, options);
    try {
      const exit = await Promise.race([program.exited, program.waitForExit(limitMs)]);
      return { ...exit, stdout: program.stdout, stderr: program.stderr };
    } finally {
      program.kill("SIGKILL");
    }
  }

  /** What a program writes to stdout. @throws Error if it does not end with status 0, with what it wrote to stderr */
  async output(command: readonly string[], options: RunOptions = {}): Promise<string> {
    const { status, signal, stdout, stderr } = await this.run(command, options);
    if (status === 0) return stdout;
    throw new Error(
      `"${command.join(" ")}" on ${this.name} ended with ${signal ?? status}: ${(stderr || stdout).trim()}`,
    );
  }

  /** Does `action` in this host's network: sockets that it opens stay there. What comes after an `await` is outside. */
  inNetwork<Result>(action: () => Result): Result {
    return inNamespace(this.namespaceFd, action);
  }

  /**
   * Where the test itself finds the host's file `path`, Unix sockets too: `/run/wireguard/wg0.sock`. No part of it may
   * be a symbolic link, which would lead to the machine's (`/var/run` is one).
   */
  path(path: string): string {
    return `/proc/${this.#keeper.pid}/root${path}`;
  }

  /** `setSysctl("net.ipv4.ip_forward", 1)`. */
  setSysctl(name: string, value: number): void {
    writeSysctl(this.namespaceFd, name, value);
  }

  /** Closes what the test process holds of it. Only its laboratory calls this. */
  close(): void {
    this.netlink.close();
    closeFd(this.namespaceFd);
  }
}
