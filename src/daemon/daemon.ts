/**
 * The daemon of `minitail up`: it builds the parts in order, answers for their state, and takes back what it changed
 * on the machine when it ends.
 */

import { closeFd, hasCapability, openMonitor } from "bun-ffi-tun";
import { errorMessage, isMinitailError, MinitailError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { Journal } from "../host/journal.ts";
import type { NetmapNode } from "../netmap/netmap.ts";
import { uapiSocketPath } from "../uapi/socket-file.ts";
import type { DaemonState, HealthItem, Status } from "./api.ts";
import type { ShownApproval } from "./approval-intent.ts";
import { assembleNode } from "./assemble-node.ts";
import { CleanUps } from "./clean-ups.ts";
import { forgetMembership } from "./forget-membership.ts";
import { serveLocalApi } from "./local-api-server.ts";
import { establishMembership, type Membership } from "./membership.ts";
import { membershipHealth } from "./membership-health.ts";
import { NodeUpkeep } from "./node-upkeep.ts";
import type { UpOptions } from "./options.ts";
import { routesOf, runningNode } from "./routes.ts";
import type { RunningNode } from "./running-node.ts";
import { keepSettings, type Settings, settleSettings } from "./settings.ts";
import { JOURNAL_FILE, StateDirectory } from "./state-directory.ts";
import { makeStatus } from "./status.ts";
import { Tunnel, type TunnelEvent } from "./tunnel.ts";
import { fitSegments, openTunnelDevice, type TunnelDevice } from "./tunnel-device.ts";
import { openUdpWire, type UdpWire } from "./udp-wire.ts";
import { serveWgSocket } from "./wg-socket.ts";

/** How long an ephemeral machine that stops waits for the registry, or for members in its place. */
const LEAVING_LIMIT_MS = 5000;

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
  readonly #cleanUps: CleanUps;
  readonly #ended = Promise.withResolvers<MinitailError | undefined>();
  readonly #health: HealthItem[] = [];
  /** Aborted by `down`, which may come before the node runs. */
  readonly #stopping = new AbortController();
  #state: DaemonState = "starting";
  #approval: ShownApproval | undefined;
  /** Once this machine carries packets as a member. */
  #upkeep: NodeUpkeep | undefined;
  /** Whether who this machine was is forgotten at the end. */
  #forgets = false;
  /** Whether it leaves the tailnet because somebody wants it to. */
  #isLeaving = false;

  private constructor(input: DaemonOptions) {
    this.#input = input;
    this.#log = input.log;
    this.#cleanUps = new CleanUps(input.log);
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

  get #node(): RunningNode | undefined {
    return this.#upkeep?.node;
  }

  async #start(): Promise<void> {
    const { options, signal } = this.#input;
    requireNetworkAdministration();
    const state = StateDirectory.open(options.stateDirectory);
    this.#cleanUps.add(() => state.close());
    this.#cleanUps.add(() => {
      if (this.#forgets) forgetMembership(state);
    });
    const journal = this.#openJournal(state);
    const settings = settleSettings(state, options);
    const { interfaceName } = settings;
    const api = await journal.record({ kind: "file", path: options.socketPath }, () =>
      serveLocalApi(options.socketPath, routesOf(this), this.#log),
    );
    // Last of all: when the socket is gone, everything has been taken back, and another may start.
    this.#cleanUps.addLast(() => api.stop());
    // The device and the port come before the tailnet: a join key is not spent on a machine that can't use it.
    const device = await journal.record({ kind: "interface", name: interfaceName }, () =>
      openTunnelDevice(interfaceName, settings.dataPlane, settings.offloads),
    );
    this.#cleanUps.add(() => closeFd(device.fd));
    this.#log.debug(`start: ${interfaceName} is there, and the calls of other commands are taken`);
    const monitorFd = openMonitor();
    this.#cleanUps.add(() => closeFd(monitorFd));
    const wire = openUdpWire(settings.port, 0);
    this.#cleanUps.add(() => wire.close());
    keepSettings(state, options);
    const starting = this.#startTunnel(device, monitorFd, wire, settings);
    // Where the membership fails first, the workers are still waited for and ended: descriptors closed before that
    // would be other files by the time that a worker reads them.
    this.#cleanUps.add(() =>
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
    this.#cleanUps.add(() => closeMembership(membership));
    this.#log.debug(`start: a member of ${membership.tailnet.id}, in epoch ${membership.tailnet.epoch}`);
    const tunnel = await starting;
    const node = await assembleNode({ settings, membership, tunnel, wire, log: this.#log });
    this.#upkeep = new NodeUpkeep(node, this.#upkeepLog());
    await this.#upkeep.start();
    await this.#serveWgSocket(node, journal);
    this.#state = "running";
  }

  /** Who asked this machine to leave is not warned that it has left. */
  #upkeepLog(): Log {
    const { debug, info, warn, error } = this.#log;
    return { debug, info, error, warn: (message) => (this.#isLeaving ? debug : warn)(message) };
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
    this.#cleanUps.add(undo);
    return journal;
  }

  async #startTunnel(device: TunnelDevice, monitorFd: number, wire: UdpWire, settings: Settings): Promise<Tunnel> {
    fitSegments(device, settings.mtuBytes);
    return await Tunnel.start({
      ...device,
      deviceFd: device.fd,
      pathMtuTo: wire.pathMtuTo,
      probedPeers: {
        probe: (slot, packetBytes, onAnswer) => this.#node?.probePath(slot, packetBytes, onAnswer),
        nameOf: (slot) => this.#node?.parts.mesh.nodeAt(slot)?.name ?? "",
      },
      monitorFd,
      mtuBytes: settings.mtuBytes,
      log: this.#log,
      chooseEndpoints: (slot, current, nowMs) => this.#node?.parts.mesh.chooseEndpoints(slot, current, nowMs) ?? [],
      onEvent: (event) => this.#handleTunnelEvent(event),
    });
  }

  /** `wg show` on this interface. Where the socket can't be had, the node runs all the same. */
  async #serveWgSocket({ parts }: RunningNode, journal: Journal): Promise<void> {
    const { interfaceName } = parts.settings;
    const path = uapiSocketPath(interfaceName);
    try {
      const server = await serveWgSocket(interfaceName, parts.tunnel, parts.port, this.#log);
      this.#cleanUps.add(() => server.close());
    } catch (error) {
      if (!isMinitailError(error)) throw error;
      const message = `wg cannot show ${interfaceName}: ${error.message}`;
      this.#health.push({ code: "wg-socket-taken", message, hint: `end what has ${path}, then start minitail again` });
      return;
    }
    await journal.record({ kind: "file", path }, () => {});
  }

  #handleTunnelEvent(event: TunnelEvent): void {
    switch (event.type) {
      case "device-gone":
        this.#ended.resolve(
          new MinitailError("internal", "the interface was deleted by another program", {
            hint: "minitail up makes it anew; find out what deletes it, as a network manager that does not know it",
          }),
        );
        break;
      case "failed":
        this.#ended.resolve(new MinitailError("internal", `the data plane failed: ${event.message}`));
        break;
      default:
        this.#upkeep?.handleTunnelEvent(event);
    }
  }

  /** Takes back all that was begun, and goes on where one thing can't be. */
  async stop(): Promise<void> {
    await this.#leaveIfEphemeral();
    this.#state = "stopped";
    await this.#upkeep?.stop();
    await this.#cleanUps.run();
  }

  /** An ephemeral machine that stops is gone at once; where nobody can be told now, a signer notices. */
  async #leaveIfEphemeral(): Promise<void> {
    const node = this.#node;
    if (this.#forgets || !node?.parts.membership.tailnet.self?.terms.ephemeral) return;
    this.#forgets = true;
    this.#isLeaving = true;
    const leaving = node.leave(true).catch((error: unknown) => {
      this.#log.warn(`the others could not be told that this machine leaves: ${errorMessage(error)}`);
    });
    await Promise.race([leaving, Bun.sleep(LEAVING_LIMIT_MS)]);
  }

  status(): Status {
    const { membership, peerApi, ownInterface } = this.#node?.parts ?? {};
    const health = [
      ...(membership ? membershipHealth(membership.tailnet) : []),
      ...this.#health,
      ...(ownInterface?.health() ?? []),
      ...(membership?.tailnet.health() ?? []),
      ...(peerApi?.health() ?? []),
      ...(membership?.embedded?.health() ?? []),
    ];
    return makeStatus(this.#stateNow(), this.#node, this.#approval, health);
  }

  /** A node that runs carries nothing once it was removed, or its membership has ended. */
  #stateNow(): DaemonState {
    if (this.#state !== "running") return this.#state;
    if (this.#upkeep?.isRemoved) return "needs-approval";
    return this.#node?.netmap.self.expired ? "expired" : "running";
  }

  /** Leaves the tailnet, and ends as `down` does: who this machine was is forgotten. Throws what `leave` throws. */
  async logout(force: boolean): Promise<void> {
    // Who waits to be let in belongs to nobody yet.
    if (this.#state !== "needs-approval") await this.#leave(runningNode(this), force);
    this.#forgets = true;
    this.down();
  }

  async #leave(node: RunningNode, force: boolean): Promise<void> {
    this.#isLeaving = true;
    try {
      await node.leave(force);
    } catch (error) {
      this.#isLeaving = false;
      throw error;
    }
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
