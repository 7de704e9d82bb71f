/**
 * A WireGuard interface and nothing else: a TUN, a tunnel, and the configuration protocol, which `wg` speaks.
 * The UDP socket is there while the interface is up, as with wireguard-go.
 */

import { boottimeMs, closeFd, openMonitor, setNonBlocking, tunNameOf } from "bun-ffi-tun";
import { errorMessage, isMinitailError, MinitailError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { createTunInterface, linkState, setInterfaceMtu } from "../host/interface.ts";
import type { UapiChange, UapiDevice, UapiState } from "../uapi/device.ts";
import { Tunnel } from "./tunnel.ts";
import { openUdpWire, type UdpWire } from "./udp-wire.ts";

/** 1500 of Ethernet less the headers of IPv6, UDP and WireGuard, and wg's own default. */
const DEFAULT_MTU_BYTES = 1420;

export interface WireguardInterfaceOptions {
  readonly name: string;
  /** A TUN that was opened before; it is taken over. */
  readonly tunFd: number | undefined;
  readonly log: Log;
  /** The interface was deleted, or the data plane failed (why). Called once. */
  onEnd(error: MinitailError | undefined): void;
}

export class WireguardInterface implements UapiDevice {
  readonly name: string;
  readonly #options: WireguardInterfaceOptions;
  readonly #deviceFd: number;
  readonly #monitorFd: number;
  #tunnel!: Tunnel;
  #wire: UdpWire | undefined;
  #listenPort = 0;
  #fwmark = 0;

  private constructor(options: WireguardInterfaceOptions, tun: { readonly fd: number; readonly name: string }) {
    this.#options = options;
    this.#deviceFd = tun.fd;
    this.name = tun.name;
    this.#monitorFd = openMonitor();
  }

  /** Resolves once the interface is there and carries packets. Throws as `createTunInterface` does. */
  static async start(options: WireguardInterfaceOptions): Promise<WireguardInterface> {
    const { tunFd } = options;
    const tun = tunFd === undefined ? createTunInterface(options.name) : adoptTun(tunFd);
    if (tunFd === undefined) setInterfaceMtu(tun.name, DEFAULT_MTU_BYTES);
    const made = new WireguardInterface(options, tun);
    try {
      await made.#start();
      return made;
    } catch (error) {
      await made.stop();
      throw error;
    }
  }

  async #start(): Promise<void> {
    this.#tunnel = await Tunnel.start({
      deviceFd: this.#deviceFd,
      monitorFd: this.#monitorFd,
      mtuBytes: linkState(this.name)?.mtuBytes ?? DEFAULT_MTU_BYTES,
      log: this.#options.log,
      onEvent: (event) => {
        if (event.type === "network-changed") this.#handleNetworkChange();
        if (event.type === "device-gone") this.#options.onEnd(undefined);
        if (event.type === "failed") this.#options.onEnd(new MinitailError("internal", event.message));
      },
    });
    this.#handleNetworkChange();
  }

  get(): UapiState {
    return {
      snapshot: this.#tunnel.snapshot(),
      listenPort: this.#wire?.port ?? this.#listenPort,
      fwmark: this.#fwmark,
      unixOffsetMs: Date.now() - boottimeMs(),
      traffic: (slot) => this.#tunnel.traffic(slot),
    };
  }

  set(change: UapiChange): void {
    this.#setWireOptions(change.listenPort ?? this.#listenPort, change.fwmark ?? this.#fwmark);
    this.#tunnel.configure(change.configuration);
  }

  async stop(): Promise<void> {
    await this.#tunnel?.stop();
    this.#closeWire();
    closeFd(this.#monitorFd);
    closeFd(this.#deviceFd);
  }

  /** A new socket where port or mark changed; the old one stays where the new one can't be had. */
  #setWireOptions(listenPort: number, fwmark: number): void {
    if (listenPort === this.#listenPort && fwmark === this.#fwmark) return;
    const samePort = listenPort === this.#listenPort;
    if (this.#wire) {
      const keptPort = samePort ? this.#wire.port : listenPort;
      // A port can't be bound twice: the old socket goes first where the port stays.
      if (keptPort === this.#wire.port) this.#closeWire();
      const wire = openUdpWire(keptPort, fwmark);
      this.#closeWire();
      this.#useWire(wire);
    }
    this.#listenPort = listenPort;
    this.#fwmark = fwmark;
  }

  #handleNetworkChange(): void {
    const link = linkState(this.name);
    if (!link) return;
    this.#tunnel.setMtu(link.mtuBytes);
    if (link.isUp && !this.#wire) this.#open();
    if (!link.isUp && this.#wire) this.#closeWire();
  }

  #open(): void {
    try {
      this.#useWire(openUdpWire(this.#listenPort, this.#fwmark));
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

  #useWire(wire: UdpWire): void {
    this.#wire = wire;
    this.#tunnel.setWire(wire.fd);
  }

  #closeWire(): void {
    if (!this.#wire) return;
    this.#tunnel.setWire(-1);
    this.#wire.close();
    this.#wire = undefined;
  }
}

function adoptTun(fd: number): { readonly fd: number; readonly name: string } {
  setNonBlocking(fd);
  return { fd, name: tunNameOf(fd) };
}
