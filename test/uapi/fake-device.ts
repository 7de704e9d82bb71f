/** A tunnel that does nothing but remember its configuration. */

import { isAllZero } from "../../src/base/bytes.ts";
import { equalAddresses, type IpPrefix } from "../../src/base/ip.ts";
import type { UapiChange, UapiDevice, UapiState } from "../../src/uapi/device.ts";
import type { PeerConfiguration, PeerSnapshot } from "../../src/wireguard/configuration.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export class FakeDevice implements UapiDevice {
  privateKey: Uint8Array | undefined;
  listenPort = 0;
  fwmark = 0;
  readonly peers: Mutable<PeerSnapshot>[] = [];
  /** Changes as they came. */
  readonly changes: UapiChange[] = [];
  /** Thrown by the next `set`. */
  failure: Error | undefined;
  readonly unixOffsetMs = 1_700_000_000_000;

  get(): UapiState {
    return {
      snapshot: { privateKey: this.privateKey, publicKey: undefined, peers: this.peers },
      listenPort: this.listenPort,
      fwmark: this.fwmark,
      unixOffsetMs: this.unixOffsetMs,
      traffic: (slot) => ({ txBytes: 1000 + slot, rxBytes: 2000 + slot }),
    };
  }

  findZone(interfaceName: string): number | undefined {
    return interfaceName === "eth0" ? 3 : undefined;
  }

  set(change: UapiChange): void {
    this.changes.push(change);
    const { failure } = this;
    this.failure = undefined;
    if (failure) throw failure;
    const { configuration, listenPort, fwmark } = change;
    if (configuration.privateKey) {
      this.privateKey = isAllZero(configuration.privateKey) ? undefined : configuration.privateKey;
    }
    if (listenPort !== undefined) this.listenPort = listenPort;
    if (fwmark !== undefined) this.fwmark = fwmark;
    if (configuration.replacePeers) this.peers.length = 0;
    for (const peer of configuration.peers ?? []) this.#setPeer(peer);
  }

  #setPeer(change: PeerConfiguration): void {
    const index = this.peers.findIndex((peer) => equalAddresses(peer.publicKey, change.publicKey));
    if (change.remove) {
      if (index >= 0) this.peers.splice(index, 1);
      return;
    }
    if (index < 0 && change.updateOnly) return;
    const peer: Mutable<PeerSnapshot> = this.peers[index] ?? {
      slot: this.peers.length,
      publicKey: change.publicKey,
      presharedKey: undefined,
      endpoint: undefined,
      persistentKeepaliveSeconds: 0,
      lastHandshakeMs: undefined,
      allowedIps: [],
    };
    if (index < 0) this.peers.push(peer);
    if (change.presharedKey) peer.presharedKey = isAllZero(change.presharedKey) ? undefined : change.presharedKey;
    if (change.endpoint) peer.endpoint = change.endpoint;
    peer.persistentKeepaliveSeconds = change.persistentKeepaliveSeconds ?? peer.persistentKeepaliveSeconds;
    if (change.replaceAllowedIps) peer.allowedIps = [];
    const removed = (change.allowedIps ?? []).filter((each) => each.remove).map((each) => each.prefix);
    const added = (change.allowedIps ?? []).filter((each) => !each.remove).map((each) => each.prefix);
    peer.allowedIps = [
      ...peer.allowedIps.filter((prefix) => !removed.some((each) => equalPrefixes(each, prefix))),
      ...added,
    ];
  }
}

function equalPrefixes(a: IpPrefix, b: IpPrefix): boolean {
  return a.lengthBits === b.lengthBits && equalAddresses(a.address, b.address);
}
