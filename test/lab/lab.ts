/**
 * The laboratory: networks of hosts, switches, cables and routers on the machine that it runs on.
 *
 *     await using lab = await Lab.create("two-hosts");
 *     const lan = lab.switch("lan");
 *     const [a, b] = await Promise.all([lab.host("a"), lab.host("b")]);
 *     a.connect(lan, { address: "192.0.2.1/24" });
 *     b.connect(lan, { address: "192.0.2.2/24" });
 *     await a.output(["ping", "-c", "1", "192.0.2.2"]);
 *
 * Hosts are network namespaces of their own: nothing appears in the machine's own network, and laboratories of several
 * tests and processes don't meet. A laboratory ends with its block, however that ends; what a killed process left, the
 * next one removes.
 */

import { closeFd } from "bun-ffi-tun";
import { MinitailError } from "../../src/base/errors.ts";
import { cleanLabs } from "./clean.ts";
import { Host } from "./host.ts";
import { startKeeper } from "./keeper.ts";
import { registerLab, registerNamespace } from "./registry.ts";
import { removeLab } from "./remove.ts";
import { Router } from "./router.ts";
import type { RouterKind } from "./router-kinds.ts";
import { type Switch, SwitchRoom } from "./switch-room.ts";

/** The name of the file of the switches' namespace; hosts' names have no dot. */
const SWITCHES = ".switches";

export interface HostOptions {
  /** Default: the host's name in the laboratory. */
  readonly hostname?: string;
  /** Files that it alone sees, by path: `{"/etc/resolv.conf": "nameserver 192.0.2.53\n"}`. They must exist on the machine. */
  readonly files?: Readonly<Record<string, string>>;
}

export interface RouterOptions extends HostOptions {
  readonly kind: RouterKind;
}

/** One cleaning for all laboratories of this process. */
let cleaned: Promise<unknown> | undefined;

export class Lab implements AsyncDisposable {
  readonly #folder: string;
  readonly #roomFd: number;
  readonly #room: SwitchRoom;
  readonly #hosts: Host[] = [];
  #removed: Promise<void> | undefined;

  private constructor(folder: string) {
    this.#folder = folder;
    this.#roomFd = registerNamespace(folder, SWITCHES);
    this.#room = new SwitchRoom(this.#roomFd);
  }

  /**
   * A laboratory without anything in it.
   *
   * @param name of letters, digits and hyphens; several may have the same
   * @throws MinitailError `not-permitted` without Linux and root
   */
  static async create(name: string): Promise<Lab> {
    if (process.platform !== "linux" || process.getuid?.() !== 0) {
      throw new MinitailError("not-permitted", "the laboratory needs Linux and root: it makes network namespaces");
    }
    cleaned ??= cleanLabs();
    await cleaned;
    return new Lab(registerLab(name));
  }

  /** A host without cables. */
  async host(name: string, options: HostOptions = {}): Promise<Host> {
    return await this.#createHost(name, options, Host);
  }

  /** A router without cables; `connect` its interfaces with `side`. */
  async router(name: string, { kind, ...options }: RouterOptions): Promise<Router> {
    const router = await this.#createHost(name, options, Router);
    await router.start(kind);
    return router;
  }

  /** A switch, into which hosts are plugged. */
  switch(name: string): Switch {
    return this.#room.createSwitch(name);
  }

  /** Loses that share (0 to 1) of the IP packets to and from `host`, on each of its cables, at random. */
  dropShare(host: Host, share: number): void {
    for (const cable of host.cables) cable.setLoss(share);
  }

  async #createHost<Kind extends Host>(
    name: string,
    { hostname = name, files = {} }: HostOptions,
    kind: new (parts: ConstructorParameters<typeof Host>[0]) => Kind,
  ): Promise<Kind> {
    if (!/^[a-z0-9][a-z0-9-]*$/i.test(name)) throw new TypeError(`"${name}" is no name for a host`);
    const namespaceFd = registerNamespace(this.#folder, name);
    let host: Kind;
    try {
      const keeper = await startKeeper({ namespaceFd, hostname, files });
      host = new kind({ name, namespaceFd, keeper, room: this.#room });
    } catch (error) {
      closeFd(namespaceFd);
      throw error;
    }
    this.#hosts.push(host);
    return host;
  }

  /** Ends all that runs in it, and removes it. Asked again it does nothing more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#removed ??= this.#remove();
    await this.#removed;
  }

  async #remove(): Promise<void> {
    for (const host of this.#hosts) host.close();
    this.#room.close();
    closeFd(this.#roomFd);
    await removeLab(this.#folder);
  }
}
