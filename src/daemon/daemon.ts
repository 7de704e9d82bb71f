/**
 * The daemon of `minitail up`: it builds the parts, hands events from one to the other, and takes back what
 * it changed on the machine when it ends.
 */

import { closeFd, hasCapability, openMonitor } from "bun-ffi-tun";
import { errorMessage, MinitailError } from "../base/errors.ts";
import { type Endpoint, formatAddress } from "../base/ip.ts";
import type { Log } from "../base/log.ts";
import { configureInterface, createTunInterface, linkState, machineAddresses } from "../host/interface.ts";
import { Journal } from "../host/journal.ts";
import type { NetmapNode } from "../netmap/netmap.ts";
import { localEndpoints } from "../path/local-endpoints.ts";
import { tailnetIpv6Prefix } from "../trust/identity.ts";
import { ECHO_MINIMUM_DATA_BYTES } from "../wire/icmp.ts";
import type {
  CreatedKey,
  CreateKeyRequest,
  DaemonState,
  HealthItem,
  PingReply,
  PingRequest,
  RegistryState,
  RegistryStatus,
  Status,
} from "./api.ts";
import { EchoClient } from "./echo.ts";
import { type LocalApi, serveLocalApi } from "./local-api-server.ts";
import { establishMembership, type Membership } from "./membership.ts";
import { Mesh, type MeshPeer } from "./mesh.ts";
import type { UpOptions } from "./options.ts";
import { type Settings, settleSettings } from "./settings.ts";
import { StateDirectory } from "./state-directory.ts";
import { formatTime, makeStatus, pathStatus } from "./status.ts";
import { Tunnel, type TunnelEvent } from "./tunnel.ts";
import { openUdpWire, type UdpWire } from "./udp-wire.ts";

/** Addresses and links often change several at a time. */
const NETWORK_SETTLES_MS = 250;

const JOURNAL_FILE = "journal.json";

/** Largest IP and ICMP headers of an echo request. */
const ECHO_HEADERS_BYTES = 48;

export interface DaemonOptions {
  readonly options: UpOptions;
  readonly log: Log;
  /** Aborted when the start is to be given up. */
  readonly signal: AbortSignal;
  onWaiting(message: string): void;
}

export class Daemon implements LocalApi {
  readonly #input: DaemonOptions;
  readonly #log: Log;
  /** What is undone, newest first, when the daemon ends. */
  readonly #cleanUps: (() => void | Promise<void>)[] = [];
  readonly #latenciesMs = new Map<string, number>();
  readonly #ended = Promise.withResolvers<MinitailError | undefined>();
  #state: DaemonState = "starting";
  #settings!: Settings;
  #wire!: UdpWire;
  #tunnel: Tunnel | undefined;
  #mesh: Mesh | undefined;
  #membership: Membership | undefined;
  #echo: EchoClient | undefined;
  #endpoints: readonly Endpoint[] = [];
  #interfaceHealth: readonly HealthItem[] = [];
  #settling: Timer | undefined;

  private constructor(input: DaemonOptions) {
    this.#input = input;
    this.#log = input.log;
  }

  /** Resolves when the node runs. Whatever was begun is taken back where it fails. */
  static async start(input: DaemonOptions): Promise<Daemon> {
    const daemon = new Daemon(input);
    try {
      await daemon.#start();
      return daemon;
    } catch (error) {
      await daemon.stop();
      throw error;
    }
  }

  /** Resolves when the daemon should end: `down` was asked for (`undefined`), or it can't go on (why). */
  get ended(): Promise<MinitailError | undefined> {
    return this.#ended.promise;
  }

  /** This machine, once it runs. */
  get self(): NetmapNode | undefined {
    return this.#mesh?.netmap?.self;
  }

  /** Whether this machine made or serves the registry itself. */
  get servesRegistry(): boolean {
    return this.#membership?.embedded !== undefined;
  }

  async #start(): Promise<void> {
    const { options, signal } = this.#input;
    requireNetworkAdministration();
    const state = StateDirectory.open(options.stateDirectory);
    this.#cleanUps.push(() => state.close());
    const journal = this.#openJournal(state);
    this.#settings = settleSettings(state, options);
    const api = await journal.record({ kind: "file", path: options.socketPath }, () =>
      serveLocalApi(options.socketPath, this, this.#log),
    );
    this.#cleanUps.push(() => api.stop());
    // The device and the port come before the tailnet: a join key is not spent on a machine that can't use it.
    const { interfaceName, port } = this.#settings;
    const tun = await journal.record({ kind: "interface", name: interfaceName }, () =>
      createTunInterface(interfaceName),
    );
    this.#cleanUps.push(() => closeFd(tun.fd));
    const monitorFd = openMonitor();
    this.#cleanUps.push(() => closeFd(monitorFd));
    this.#wire = openUdpWire(port, 0);
    this.#cleanUps.push(() => this.#wire.close());
    const starting = this.#startTunnel(tun.fd, monitorFd);
    // Awaited below; the membership may fail first.
    starting.catch(() => {});
    this.#membership = await establishMembership({
      state,
      settings: this.#settings,
      options,
      log: this.#log,
      signal,
      onWaiting: (message) => this.#input.onWaiting(message),
    });
    this.#cleanUps.push(() => this.#closeMembership());
    this.#tunnel = await starting;
    await this.#join(this.#tunnel, this.#membership);
    this.#state = "running";
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

  async #startTunnel(deviceFd: number, monitorFd: number): Promise<Tunnel> {
    const tunnel = await Tunnel.start({
      deviceFd,
      monitorFd,
      mtuBytes: this.#settings.mtuBytes,
      log: this.#log,
      chooseEndpoints: (slot, current, nowMs) => this.#mesh?.chooseEndpoints(slot, current, nowMs) ?? [],
      onEvent: (event) => this.#handleTunnelEvent(event),
    });
    this.#cleanUps.push(() => tunnel.stop());
    return tunnel;
  }

  /** Makes the tunnel what the tailnet says, and tells the tailnet where this machine is. */
  async #join(tunnel: Tunnel, { tailnet, nodeKey }: Membership): Promise<void> {
    const { interfaceName, mtuBytes, suffix } = this.#settings;
    const netmap = tailnet.netmap(suffix);
    if (!netmap) throw new MinitailError("internal", "this machine is no member of its tailnet");
    const { ipv6 } = configureInterface({
      name: interfaceName,
      mtuBytes,
      addresses: netmap.self.addresses,
      routes: [...netmap.pool, tailnetIpv6Prefix(netmap.tailnetId)],
    });
    if (!ipv6) this.#interfaceHealth = [IPV6_OFF];
    tunnel.configure({ privateKey: nodeKey.privateKey });
    tunnel.setWire(this.#wire.fd);
    this.#echo = new EchoClient((packet) => tunnel.sendPacket(packet));
    this.#mesh = new Mesh(tunnel);
    this.#mesh.setNetmap(netmap);
    this.#cleanUps.push(
      tailnet.onChange(() => {
        const changed = tailnet.netmap(suffix);
        if (changed) this.#mesh?.setNetmap(changed);
      }),
    );
    await this.#publish();
    tailnet.start();
  }

  /** Publishes where this machine can be reached, if that changed. */
  async #publish(): Promise<void> {
    const { tailnet, nodeKey } = this.#membership!;
    this.#endpoints = localEndpoints(machineAddresses(), this.#wire.port, this.#settings.interfaceName);
    await tailnet.publishRecord({
      nodeKey: nodeKey.publicKey,
      endpoints: this.#endpoints,
      homeRelay: undefined,
      routes: [],
      capabilities: [],
    });
  }

  #handleTunnelEvent(event: TunnelEvent): void {
    switch (event.type) {
      case "echo-reply":
        this.#echo?.handleReply(event.packet);
        break;
      case "network-changed":
        this.#settling ??= setTimeout(() => {
          this.#settling = undefined;
          this.#handleNetworkChange();
        }, NETWORK_SETTLES_MS);
        break;
      case "device-gone":
        this.#fail(new MinitailError("internal", `the interface ${this.#settings.interfaceName} was deleted`));
        break;
      case "failed":
        this.#fail(new MinitailError("internal", `the data plane failed: ${event.message}`));
        break;
    }
  }

  #handleNetworkChange(): void {
    if (this.#state !== "running") return;
    const link = linkState(this.#settings.interfaceName);
    if (link) this.#tunnel?.setMtu(link.mtuBytes);
    this.#publish().catch((error: unknown) => this.#log.warn(`publishing new endpoints: ${errorMessage(error)}`));
  }

  #fail(error: MinitailError): void {
    this.#ended.resolve(error);
  }

  #closeMembership(): Promise<void> | undefined {
    this.#membership?.tailnet.stop();
    this.#membership?.registry.close();
    return this.#membership?.embedded?.stop();
  }

  /** Takes back all that was begun, and goes on where one thing can't be. */
  async stop(): Promise<void> {
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

  status(): Status {
    return makeStatus({
      state: this.#state,
      mesh: this.#mesh,
      tunnel: this.#tunnel,
      mtuBytes: this.#settings.mtuBytes,
      registry: this.#registryState(),
      health: this.#health(),
      latenciesMs: this.#latenciesMs,
    });
  }

  down(): void {
    // The answer goes out first.
    setTimeout(() => this.#ended.resolve(undefined), 0);
  }

  async ping(request: PingRequest): Promise<PingReply> {
    const { peer, mesh, netmap } = this.#findPeer(request.peer);
    const isIpv6 = request.peer.includes(":");
    const destination = peer.node.addresses[isIpv6 ? 1 : 0];
    const source = netmap.self.addresses[isIpv6 ? 1 : 0];
    const largestBytes = this.#settings.mtuBytes - ECHO_HEADERS_BYTES;
    const { sizeBytes, timeoutMs } = request;
    if (!Number.isInteger(sizeBytes) || sizeBytes < ECHO_MINIMUM_DATA_BYTES || sizeBytes > largestBytes) {
      throw new MinitailError("usage", `a ping carries ${ECHO_MINIMUM_DATA_BYTES} to ${largestBytes} bytes`);
    }
    const latencyMs = await this.#echo!.echo(source, destination, sizeBytes, timeoutMs);
    if (latencyMs !== undefined) this.#latenciesMs.set(peer.node.id, latencyMs);
    const now = mesh.peers().find(({ node }) => node.id === peer.node.id) ?? peer;
    return {
      peer: { name: peer.node.name, address: formatAddress(destination) },
      path: pathStatus(now, mesh, latencyMs),
      latencyMs: latencyMs ?? null,
    };
  }

  async createKey(request: CreateKeyRequest): Promise<CreatedKey> {
    const membership = this.#running();
    const { reusable, ephemeral, tags, user, expiresInMs } = request;
    const created = await membership.tailnet.createJoinKey({
      reusable,
      expiresAtMs: Date.now() + expiresInMs,
      terms: { user, tags, ephemeral },
      registries: membership
        .registriesForNewcomers(this.#endpointsForNewcomers())
        .map(({ urls, token, pin }) => ({ urls, token: token ?? "", pin })),
    });
    return { id: created.id, key: created.key, expiresAt: formatTime(created.expiresAtMs) };
  }

  registryStatus(): RegistryStatus {
    const { tailnet, embedded } = this.#running();
    return {
      ...this.#registryState()!,
      embedded: embedded !== undefined,
      tailnetId: tailnet.id,
      chainLength: tailnet.chain.statements.length,
      records: tailnet.records.size,
    };
  }

  /** A machine that has no address but loopback is reached by that, from itself. */
  #endpointsForNewcomers(): readonly Endpoint[] {
    return this.#endpoints.length > 0 ? this.#endpoints : [{ address: new Uint8Array([127, 0, 0, 1]), port: 0 }];
  }

  #running(): Membership {
    if (this.#membership && this.#mesh) return this.#membership;
    throw new MinitailError("daemon-not-running", "the daemon is still starting", {
      hint: "minitail status tells when",
    });
  }

  #registryState(): RegistryState | undefined {
    const { registry, tailnet } = this.#membership ?? {};
    if (!registry || !tailnet) return undefined;
    const { lastSyncAtMs } = tailnet;
    return {
      url: registry.url,
      connected: tailnet.connected,
      lastSyncAt: lastSyncAtMs === undefined ? null : formatTime(lastSyncAtMs),
      commandsSent: registry.commandsSent,
    };
  }

  #health(): readonly HealthItem[] {
    return [...this.#interfaceHealth, ...(this.#membership?.tailnet.health() ?? [])];
  }

  /** By name, DNS name, address or node id. */
  #findPeer(text: string): { peer: MeshPeer; mesh: Mesh; netmap: NonNullable<Mesh["netmap"]> } {
    this.#running();
    const mesh = this.#mesh!;
    const netmap = mesh.netmap!;
    const wanted = text.toLowerCase();
    const isMeant = (node: NetmapNode) =>
      [node.id, node.name, node.dnsName, ...node.addresses.map(formatAddress)].includes(wanted);
    const peer = mesh.peers().find(({ node }) => isMeant(node));
    if (peer) return { peer, mesh, netmap };
    if (isMeant(netmap.self)) throw new MinitailError("usage", `${text} is this machine itself`);
    throw new MinitailError("no-such-peer", `no machine of the tailnet is called ${text}`, {
      hint: "minitail status lists them",
    });
  }
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
