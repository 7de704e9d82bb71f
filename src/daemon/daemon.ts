/**
 * The daemon of `minitail up`: it builds the parts, hands events from one to the other, and takes back what
 * it changed on the machine when it ends.
 */

import { closeFd, hasCapability, openMonitor } from "bun-ffi-tun";
import { errorMessage, isMinitailError, MinitailError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { configureInterface, linkState } from "../host/interface.ts";
import { Journal } from "../host/journal.ts";
import type { NetmapNode } from "../netmap/netmap.ts";
import { tailnetIpv6Prefix } from "../trust/identity.ts";
import { uapiSocketPath } from "../uapi/socket-file.ts";
import type { DaemonState, HealthItem, Status } from "./api.ts";
import type { ShownApproval } from "./approval-intent.ts";
import { EchoClient } from "./echo.ts";
import { forgetMembership } from "./forget-membership.ts";
import { serveLocalApi } from "./local-api-server.ts";
import { establishMembership, type Membership } from "./membership.ts";
import { COME_BACK_HINT, describeRemoval, membershipHealth } from "./membership-health.ts";
import { Mesh } from "./mesh.ts";
import type { UpOptions } from "./options.ts";
import { PeerApi } from "./peer-api/peer-api.ts";
import { routesOf } from "./routes.ts";
import { RunningNode } from "./running-node.ts";
import { type Settings, settleSettings } from "./settings.ts";
import { JOURNAL_FILE, StateDirectory } from "./state-directory.ts";
import { makeStatus } from "./status.ts";
import { Tunnel, type TunnelEvent } from "./tunnel.ts";
import { fitSegments, openTunnelDevice, type TunnelDevice } from "./tunnel-device.ts";
import { openUdpWire, type UdpWire } from "./udp-wire.ts";
import { serveWgSocket } from "./wg-socket.ts";

/** Addresses and links often change several at a time. */
const NETWORK_SETTLES_MS = 250;

/** How long an ephemeral machine that stops waits for the registry, or for members in its place. */
const LEAVING_LIMIT_MS = 5000;

/** How long `up` waits for its record to be written. */
const PUBLISHING_LIMIT_MS = 1000;

export interface DaemonOptions {
  readonly options: UpOptions;
  readonly log: Log;
  /** Aborted when the start is to be given up. */
  readonly signal: AbortSignal;
  /** Told what is waited for, in words for a person. */
  onWaiting(message: string): void;
  /** Told of each code with which this machine asks to be let in. */
  onApproval(shown: ShownApproval): void;
}

/** True for what a start fails with that was given up while it waited. */
export function isGivenUp(error: unknown): error is MinitailError {
  return isMinitailError(error, "registry-unreachable") || isMinitailError(error, "not-approved");
}

export class Daemon {
  readonly #input: DaemonOptions;
  readonly #log: Log;
  /** What is undone, newest first, when the daemon ends. */
  readonly #cleanUps: (() => void | Promise<void>)[] = [];
  readonly #ended = Promise.withResolvers<MinitailError | undefined>();
  readonly #health: HealthItem[] = [];
  /** Aborted by `down`, which may come before the node runs. */
  readonly #stopping = new AbortController();
  #state: DaemonState = "starting";
  #approval: ShownApproval | undefined;
  #node: RunningNode | undefined;
  #settling: Timer | undefined;
  #isRemoved = false;
  /** Whether who this machine was is forgotten at the end. */
  #forgets = false;

  private constructor(input: DaemonOptions) {
    this.#input = input;
    this.#log = input.log;
  }

  /**
   * Resolves when the node runs, or with `undefined` where `down` was asked for while it waited. Whatever was begun is
   * taken back where it fails.
   */
  static async start(input: DaemonOptions): Promise<Daemon | undefined> {
    const daemon = new Daemon(input);
    try {
      await daemon.#start();
      return daemon;
    } catch (error) {
      await daemon.stop();
      if (daemon.#stopping.signal.aborted && isGivenUp(error)) return undefined;
      throw error;
    }
  }

  /** Resolves when the daemon should end: `down` was asked for (`undefined`), or it can't go on (why). */
  get ended(): Promise<MinitailError | undefined> {
    return this.#ended.promise;
  }

  /** This machine, once it runs. */
  get self(): NetmapNode | undefined {
    return this.#node?.netmap.self;
  }

  /** Whether this machine serves the registry itself. */
  get servesRegistry(): boolean {
    return this.#node?.parts.membership.embedded !== undefined;
  }

  async #start(): Promise<void> {
    const { options, signal } = this.#input;
    requireNetworkAdministration();
    const state = StateDirectory.open(options.stateDirectory);
    this.#cleanUps.push(() => state.close());
    this.#cleanUps.push(() => {
      if (this.#forgets) forgetMembership(state);
    });
    const journal = this.#openJournal(state);
    const settings = settleSettings(state, options);
    const { interfaceName } = settings;
    const api = await journal.record({ kind: "file", path: options.socketPath }, () =>
      serveLocalApi(options.socketPath, routesOf(this), this.#log),
    );
    // Last of all: when the socket is gone, everything has been taken back, and another may start.
    this.#cleanUps.unshift(() => api.stop());
    // The device and the port come before the tailnet: a join key is not spent on a machine that can't use it.
    const device = await journal.record({ kind: "interface", name: interfaceName }, () =>
      openTunnelDevice(interfaceName, settings.dataPlane, settings.offloads),
    );
    this.#cleanUps.push(() => closeFd(device.fd));
    this.#log.debug(`start: ${interfaceName} is there, and the calls of other commands are taken`);
    const monitorFd = openMonitor();
    this.#cleanUps.push(() => closeFd(monitorFd));
    const wire = openUdpWire(settings.port, 0);
    this.#cleanUps.push(() => wire.close());
    const starting = this.#startTunnel(device, monitorFd, wire, settings);
    // Where the membership fails first, the workers are still waited for and ended: descriptors closed before that
    // would be other files by the time that a worker reads them.
    this.#cleanUps.push(() =>
      starting.then(
        (tunnel) => tunnel.stop(),
        () => {},
      ),
    );
    const membership = await establishMembership({
      state,
      settings,
      options,
      log: this.#log,
      signal: AbortSignal.any([signal, this.#stopping.signal]),
      onWaiting: (message) => this.#input.onWaiting(message),
      onApproval: (shown) => this.#showApproval(shown),
    });
    this.#cleanUps.push(() => closeMembership(membership));
    this.#log.debug(`start: a member of ${membership.tailnet.id}, in epoch ${membership.tailnet.epoch}`);
    await this.#join(await starting, membership, settings, wire);
    await this.#serveWgSocket(journal);
    this.#state = "running";
  }

  #showApproval(shown: ShownApproval | undefined): void {
    this.#approval = shown;
    this.#state = shown ? "needs-approval" : "starting";
    if (shown) this.#input.onApproval(shown);
  }

  #openJournal(state: StateDirectory): Journal {
    const journal = new Journal(state.file(JOURNAL_FILE));
    const undo = () => {
      for (const { entry, error } of journal.undoAll()) {
        this.#log.error(`cannot take back ${JSON.stringify(entry)}: ${errorMessage(error)}`);
      }
    };
    undo();
    this.#cleanUps.push(undo);
    return journal;
  }

  async #startTunnel(device: TunnelDevice, monitorFd: number, wire: UdpWire, settings: Settings): Promise<Tunnel> {
    fitSegments(device, settings.mtuBytes);
    return await Tunnel.start({
      ...device,
      deviceFd: device.fd,
      pathMtuTo: wire.pathMtuTo,
      monitorFd,
      mtuBytes: settings.mtuBytes,
      log: this.#log,
      chooseEndpoints: (slot, current, nowMs) => this.#node?.parts.mesh.chooseEndpoints(slot, current, nowMs) ?? [],
      onEvent: (event) => this.#handleTunnelEvent(event),
    });
  }

  /** Makes the tunnel what the tailnet says, and tells the tailnet where this machine is. */
  async #join(tunnel: Tunnel, membership: Membership, settings: Settings, wire: UdpWire): Promise<void> {
    const { tailnet, nodeKey } = membership;
    const { interfaceName, mtuBytes, suffix } = settings;
    const netmap = tailnet.netmap(suffix);
    if (!netmap) throw new MinitailError("internal", "this machine is no member of its tailnet");
    const { ipv6 } = configureInterface({
      name: interfaceName,
      mtuBytes,
      addresses: netmap.self.addresses,
      routes: [...netmap.pool, tailnetIpv6Prefix(netmap.tailnetId)],
    });
    if (!ipv6) this.#health.push(IPV6_OFF);
    const addresses = ipv6 ? netmap.self.addresses : [netmap.self.addresses[0]];
    tunnel.configure({ privateKey: nodeKey.current.privateKey });
    this.#log.debug("start: the data plane runs");
    await tunnel.setWire(wire.fd);
    this.#log.debug(`start: packets go by UDP port ${wire.port}`);
    const mesh = new Mesh(tunnel);
    const echo = new EchoClient((packet) => tunnel.sendPacket(packet));
    const peerApi = new PeerApi({ tailnet, mesh, interfaceName, addresses });
    const node = new RunningNode({ settings, membership, tunnel, mesh, echo, peerApi, port: wire.port });
    mesh.setNetmap(netmap);
    membership.registryHome.learnFrom(netmap.peers);
    this.#node = node;
    this.#cleanUps.push(
      tailnet.onChange(() => {
        const changed = tailnet.netmap(suffix);
        if (!changed) {
          this.#handleRemoved(node);
          return;
        }
        this.#isRemoved = false;
        mesh.setNetmap(changed);
        membership.registryHome.learnFrom(changed.peers);
      }),
    );
    peerApi.start();
    this.#cleanUps.push(() => peerApi.stop());
    // Who is told that this machine is up may reach it at once. A registry that does not answer is not waited for long.
    await Promise.race([this.#publishEndpoints(node), Bun.sleep(PUBLISHING_LIMIT_MS)]);
    tailnet.start();
    node.nodeKeyRotation.start();
    this.#cleanUps.push(() => node.nodeKeyRotation.stop());
    node.steward.start();
    this.#cleanUps.push(() => node.steward.stop());
  }

  /** `wg show` on this interface. Where the socket can't be had, the node runs all the same. */
  async #serveWgSocket(journal: Journal): Promise<void> {
    const { tunnel, settings, port } = this.#node!.parts;
    const path = uapiSocketPath(settings.interfaceName);
    try {
      const server = await serveWgSocket(settings.interfaceName, tunnel, port, this.#log);
      this.#cleanUps.push(() => server.close());
      await journal.record({ kind: "file", path }, () => {});
    } catch (error) {
      if (!isMinitailError(error)) throw error;
      const message = `wg cannot show ${settings.interfaceName}: ${error.message}`;
      this.#health.push({ code: "wg-socket-taken", message, hint: `end what has ${path}, then start minitail again` });
    }
  }

  #handleTunnelEvent(event: TunnelEvent): void {
    switch (event.type) {
      case "echo-reply":
        this.#node?.parts.echo.handleReply(event.packet);
        break;
      case "session":
        this.#node?.parts.peerApi.handleSession(event.slot);
        break;
      case "network-changed":
        this.#settling ??= setTimeout(() => {
          this.#settling = undefined;
          this.#handleNetworkChange();
        }, NETWORK_SETTLES_MS);
        break;
      case "device-gone":
        this.#ended.resolve(new MinitailError("internal", "the interface was deleted by another program"));
        break;
      case "failed":
        this.#ended.resolve(new MinitailError("internal", `the data plane failed: ${event.message}`));
        break;
    }
  }

  /** It learnt that it belongs no more. It stays up: who serves the registry serves it on, and a signer may take it back. */
  #handleRemoved({ parts }: RunningNode): void {
    parts.mesh.cutOff();
    if (this.#isRemoved) return;
    this.#isRemoved = true;
    this.#log.warn(`${describeRemoval(parts.membership.tailnet)}; ${COME_BACK_HINT}`);
  }

  #handleNetworkChange(): void {
    const node = this.#node;
    if (!node || this.#state !== "running") return;
    const { tunnel, settings } = node.parts;
    const link = linkState(settings.interfaceName);
    if (link) {
      tunnel.setMtu(link.mtuBytes);
      fitSegments({ name: settings.interfaceName, way: tunnel.way }, link.mtuBytes);
    }
    void this.#publishEndpoints(node);
  }

  async #publishEndpoints(node: RunningNode): Promise<void> {
    try {
      await node.publishRecord();
    } catch (error) {
      this.#log.warn(`publishing endpoints: ${errorMessage(error)}`);
    }
  }

  /** Takes back all that was begun, and goes on where one thing can't be. */
  async stop(): Promise<void> {
    await this.#leaveIfEphemeral();
    this.#state = "stopped";
    clearTimeout(this.#settling);
    for (const cleanUp of this.#cleanUps.splice(0).reverse()) {
      try {
        await cleanUp();
      } catch (error) {
        this.#log.error(`while stopping: ${errorMessage(error)}`);
      }
    }
  }

  /** An ephemeral machine that stops is gone at once; where nobody can be told now, a signer notices. */
  async #leaveIfEphemeral(): Promise<void> {
    const node = this.#node;
    if (this.#forgets || !node?.parts.membership.tailnet.self?.terms.ephemeral) return;
    this.#forgets = true;
    const leaving = node.leave(true).catch((error: unknown) => {
      this.#log.warn(`the others could not be told that this machine leaves: ${errorMessage(error)}`);
    });
    await Promise.race([leaving, Bun.sleep(LEAVING_LIMIT_MS)]);
  }

  status(): Status {
    const { membership, peerApi } = this.#node?.parts ?? {};
    const health = [
      ...(membership ? membershipHealth(membership.tailnet) : []),
      ...this.#health,
      ...(membership?.tailnet.health() ?? []),
      ...(peerApi?.health() ?? []),
    ];
    return makeStatus(this.#stateNow(), this.#node, this.#approval, health);
  }

  /** A node that runs carries nothing once it was removed, or its membership has ended. */
  #stateNow(): DaemonState {
    if (this.#state !== "running") return this.#state;
    if (this.#isRemoved) return "needs-approval";
    return this.#node?.netmap.self.expired ? "expired" : "running";
  }

  /** Leaves the tailnet, and ends as `down` does: who this machine was is forgotten. Throws what `leave` throws. */
  async logout(force: boolean): Promise<void> {
    await this.running().leave(force);
    this.#forgets = true;
    this.down();
  }

  down(): void {
    // The answer goes out first.
    setTimeout(() => {
      this.#stopping.abort();
      this.#ended.resolve(undefined);
    }, 0);
  }

  /** This node. Throws `daemon-not-running` until it runs. */
  running(): RunningNode {
    if (this.#node) return this.#node;
    throw new MinitailError("daemon-not-running", "the daemon is still starting", {
      hint: "minitail status tells when",
    });
  }
}

function closeMembership({ tailnet, registry, embedded }: Membership): Promise<void> | undefined {
  tailnet.stop();
  registry.close();
  return embedded?.stop();
}

/** Before anything is touched: what fails later for want of it says less. */
function requireNetworkAdministration(): void {
  if (hasCapability("NET_ADMIN")) return;
  throw new MinitailError("not-permitted", "minitail up changes the network, which this user may not", {
    hint: "run it as root, or give the container --cap-add NET_ADMIN",
  });
}

const IPV6_OFF: HealthItem = {
  code: "ipv6-off",
  message: "this machine has IPv6 switched off: the tunnel carries IPv4 alone",
  hint: "set net.ipv6.conf.all.disable_ipv6 and net.ipv6.conf.default.disable_ipv6 to 0, then start again",
};
