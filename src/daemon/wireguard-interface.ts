/**
 * A WireGuard interface and nothing else: a TUN, a tunnel, and the configuration protocol, which `wg` speaks.
 * The UDP socket is there while the interface is up, as with wireguard-go.
 */

import { boottimeMs, closeFd, openMonitor, setNonBlocking, tunNameOf } from "bun-ffi-tun";
import { errorMessage, isMinitailError, MinitailError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { interfaceIndex, linkState, setInterfaceMtu } from "../host/interface.ts";
import type { UapiChange, UapiDevice, UapiState } from "../uapi/device.ts";
import type { DataPlaneChoice, Offload } from "./options.ts";
import { Tunnel } from "./tunnel.ts";
import { fitSegments, openTunnelDevice, type TunnelDevice } from "./tunnel-device.ts";
import { openUdpWire, type UdpWire } from "./udp-wire.ts";

/** 1500 of Ethernet less the headers of IPv6, UDP and WireGuard, and wg's own default. */
const DEFAULT_MTU_BYTES = 1420;

export interface WireguardInterfaceOptions {
  readonly name: string;
  /** A TUN that was opened before; it is taken over. */
  readonly tunFd: number | undefined;
  readonly dataPlane: DataPlaneChoice;
  readonly offloads: readonly Offload[];
  readonly log: Log;
  /** The interface was deleted, or the data plane failed (why). Called once. */
  onEnd(error: MinitailError | undefined): void;
}

export class WireguardInterface implements UapiDevice {
  readonly name: string;
  readonly #options: WireguardInterfaceOptions;
  readonly #device: TunnelDevice;
  readonly #monitorFd: number;
  #tunnel!: Tunnel;
  #wire: UdpWire | undefined;
  #listenPort = 0;
  #fwmark = 0;
  /** The end of all changes that were begun. */
  #lastTurn: Promise<void> = Promise.resolve();

  private constructor(options: WireguardInterfaceOptions, device: TunnelDevice) {
    this.#options = options;
    this.#device = device;
    this.name = device.name;
    this.#monitorFd = openMonitor();
  }

  /** Resolves once the interface is there and carries packets. Throws as `openTunnelDevice` does. */
  static async start(options: WireguardInterfaceOptions): Promise<WireguardInterface> {
    const { name, tunFd, dataPlane, offloads } = options;
    const device = tunFd === undefined ? openTunnelDevice(name, dataPlane, offloads) : adoptTun(tunFd);
    if (tunFd === undefined) setInterfaceMtu(device.name, DEFAULT_MTU_BYTES);
    const made = new WireguardInterface(options, device);
    try {
      await made.#start();
      return made;
    } catch (error) {
      await made.stop();
      throw error;
    }
  }

  async #start(): Promise<void> {
    const mtuBytes = linkState(this.name)?.mtuBytes ?? DEFAULT_MTU_BYTES;
    fitSegments(this.#device, mtuBytes);
    this.#tunnel = await Tunnel.start({
      ...this.#device,
      deviceFd: this.#device.fd,
      pathMtuTo: (endpoint) => this.#wire?.pathMtuTo(endpoint),
      monitorFd: this.#monitorFd,
      mtuBytes,
      log: this.#options.log,
      onEvent: (event) => {
        if (event.type === "network-changed") {
          this.#handleNetworkChange().catch((error: unknown) => this.#options.log.error(errorMessage(error)));
        }
        if (event.type === "device-gone") this.#options.onEnd(undefined);
        if (event.type === "failed") this.#options.onEnd(new MinitailError("internal", event.message));
      },
    });
    this.#options.log.info(describeOffloads(this.#tunnel));
    await this.#handleNetworkChange();
  }

  get(): UapiState {
    return {
      snapshot: this.#tunnel.snapshot(),
      listenPort: this.#listenPort,
      fwmark: this.#fwmark,
      unixOffsetMs: Date.now() - boottimeMs(),
      traffic: (slot) => this.#tunnel.traffic(slot),
    };
  }

  findZone(interfaceName: string): number | undefined {
    return /^[0-9]{1,9}$/.test(interfaceName) ? Number(interfaceName) : interfaceIndex(interfaceName);
  }

  set({ configuration, listenPort, fwmark }: UapiChange): Promise<void> {
    return this.#inTurn(async () => {
      this.#tunnel.check(configuration);
      if (fwmark !== undefined) this.#setFwmark(fwmark);
      if (listenPort !== undefined) await this.#setListenPort(listenPort);
      this.#tunnel.configure(configuration);
    });
  }

  async stop(): Promise<void> {
    await this.#tunnel?.stop();
    if (this.#tunnel) this.#options.log.debug(describeCounters(this.#tunnel));
    await this.#inTurn(() => this.#closeWire());
    closeFd(this.#monitorFd);
    closeFd(this.#device.fd);
  }

  /** Changes of the socket take time, and come one after the other. */
  #inTurn(change: () => Promise<void>): Promise<void> {
    const turn = this.#lastTurn.then(change);
    this.#lastTurn = turn.catch(() => {});
    return turn;
  }

  #setFwmark(fwmark: number): void {
    this.#wire?.setMark(fwmark);
    this.#fwmark = fwmark;
  }

  /** A new socket where the port changes; the old one stays where the new one can't be had. */
  async #setListenPort(listenPort: number): Promise<void> {
    if (listenPort === this.#listenPort) return;
    this.#listenPort = listenPort;
    const old = this.#wire;
    if (!old) return;
    try {
      await this.#useWire(openUdpWire(listenPort, this.#fwmark));
      old.close();
    } catch (error) {
      this.#listenPort = old.port;
      throw error;
    }
  }

  #handleNetworkChange(): Promise<void> {
    return this.#inTurn(async () => {
      const link = linkState(this.name);
      if (!link) return;
      this.#tunnel.setMtu(link.mtuBytes);
      fitSegments(this.#device, link.mtuBytes);
      if (link.isUp && !this.#wire) await this.#open();
      if (!link.isUp && this.#wire) await this.#closeWire();
    });
  }

  async #open(): Promise<void> {
    try {
      await this.#useWire(openUdpWire(this.#listenPort, this.#fwmark));
    } catch (error) {
      const port = isMinitailError(error, "port-taken") ? `; choose another with wg set ${this.name} listen-port` : "";
      this.#options.log.error(`${errorMessage(error)}${port}`);
      return;
    }
    // What was sent while there was no socket went nowhere: handshakes that wait are sent again at once.
    const { peers } = this.#tunnel.snapshot();
    for (const { slot } of peers) this.#tunnel.restartHandshake(slot);
    const keptAlive = peers.filter((peer) => peer.persistentKeepaliveSeconds > 0);
    if (keptAlive.length > 0) {
      this.#tunnel.configure({
        peers: keptAlive.map(({ publicKey, persistentKeepaliveSeconds }) => ({
          publicKey,
          updateOnly: true,
          persistentKeepaliveSeconds,
        })),
      });
    }
  }

  /** A port that the system chose is kept, as by the kernel's WireGuard: peers may know it. */
  async #useWire(wire: UdpWire): Promise<void> {
    this.#wire = wire;
    this.#listenPort = wire.port;
    await this.#tunnel.setWire(wire.fd);
  }

  async #closeWire(): Promise<void> {
    if (!this.#wire) return;
    this.#wire.close();
    this.#wire = undefined;
    await this.#tunnel.setWire(-1);
  }
}

/** All counters that are not 0: what was carried, and what was dropped and why. */
function describeCounters(tunnel: Tunnel): string {
  const counters = Object.entries({ ...tunnel.counters(), ...tunnel.handshakeDrops() });
  return `counted: ${counters.flatMap(([name, count]) => (count === 0 ? [] : [`${name} ${count}`])).join(", ")}`;
}

/** Whoever opened it told the kernel of no offloads. */
function adoptTun(fd: number): TunnelDevice {
  setNonBlocking(fd);
  return { fd, name: tunNameOf(fd), way: "plain", offloads: [], offloadsOff: [] };
}

/** There is no `status` of an interface by itself. */
function describeOffloads({ offloads, offloadsOff }: Tunnel): string {
  const off = offloadsOff.map(({ offload, reason }) => `; ${offload} off: ${reason}`).join("");
  return `offloads: ${offloads.join(", ") || "none"}${off}`;
}
