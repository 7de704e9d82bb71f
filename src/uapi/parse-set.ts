/**
 * The `set` operation of WireGuard's cross-platform configuration protocol
 * (https://www.wireguard.com/xplatform/#configuration-protocol): lines of `key=value`, first the
 * device's, then each peer's behind its `public_key`.
 *
 * All lines are read before anything is applied, so a request is done whole or not at all. Values are
 * read as strictly as wireguard-go reads them; the zone of an endpoint (`fe80::1%eth0`) must be there.
 */

import { parseHex } from "../base/bytes.ts";
import { type Endpoint, type IpPrefix, maskPrefix, parseEndpoint, parsePrefix } from "../base/ip.ts";
import { KEY_LENGTH_BYTES } from "../base/key.ts";
import type { AllowedIpChange, PeerConfiguration } from "../wireguard/configuration.ts";
import type { UapiChange } from "./device.ts";
import { UapiErrno } from "./errno.ts";

const MAXIMUM_PORT = 0xffff;
const MAXIMUM_FWMARK = 0xffffffff;
const MAXIMUM_KEEPALIVE_SECONDS = 0xffff;

export interface UapiRefusal {
  readonly errno: UapiErrno;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface DeviceLines {
  privateKey?: Uint8Array;
  listenPort?: number;
  fwmark?: number;
  replacePeers?: true;
}

interface PeerLines extends Mutable<PeerConfiguration> {
  allowedIps?: AllowedIpChange[];
}

/** The index of the interface of that name, `undefined` where there is none. */
export type FindZone = (interfaceName: string) => number | undefined;

/** The change that the lines behind `set=1` ask for, without the empty line that ends them. */
export function parseSet(text: string, findZone: FindZone): UapiChange | UapiRefusal {
  const device: DeviceLines = {};
  const peers: PeerLines[] = [];
  let peer: PeerLines | undefined;
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const equals = line.indexOf("=");
    if (equals < 0) return { errno: UapiErrno.protocol };
    const key = line.slice(0, equals);
    const value = line.slice(equals + 1);
    if (key === "public_key") {
      const publicKey = parseKeyHex(value);
      if (!publicKey) return { errno: UapiErrno.invalid };
      peer = { publicKey };
      peers.push(peer);
    } else {
      const isValid = peer ? readPeerLine(peer, key, value, findZone) : readDeviceLine(device, key, value);
      if (!isValid) return { errno: UapiErrno.invalid };
    }
  }
  const { listenPort, fwmark, ...configuration } = device;
  return {
    configuration: peers.length > 0 ? { ...configuration, peers } : configuration,
    ...(listenPort === undefined ? {} : { listenPort }),
    ...(fwmark === undefined ? {} : { fwmark }),
  };
}

/** False for an unknown key or a wrong value. */
function readDeviceLine(device: DeviceLines, key: string, value: string): boolean {
  switch (key) {
    case "private_key":
      return defined(parseKeyHex(value), (privateKey) => {
        device.privateKey = privateKey;
      });
    case "listen_port":
      return defined(parseNumber(value, MAXIMUM_PORT), (port) => {
        device.listenPort = port;
      });
    case "fwmark":
      return defined(parseNumber(value, MAXIMUM_FWMARK), (mark) => {
        device.fwmark = mark;
      });
    case "replace_peers":
      device.replacePeers = true;
      return value === "true";
    default:
      return false;
  }
}

/** False for an unknown key or a wrong value. What follows `remove` has no effect on the peer. */
function readPeerLine(peer: PeerLines, key: string, value: string, findZone: FindZone): boolean {
  switch (key) {
    case "remove":
      peer.remove = true;
      return value === "true";
    case "update_only":
      peer.updateOnly = true;
      return value === "true";
    case "preshared_key":
      return defined(parseKeyHex(value), (presharedKey) => {
        peer.presharedKey = presharedKey;
      });
    case "endpoint":
      return defined<Endpoint>(parseEndpoint(value, findZone), (endpoint) => {
        peer.endpoint = endpoint;
      });
    case "persistent_keepalive_interval":
      return defined(parseNumber(value, MAXIMUM_KEEPALIVE_SECONDS), (seconds) => {
        peer.persistentKeepaliveSeconds = seconds;
      });
    case "replace_allowed_ips":
      // Lines take effect in order: what this peer was given before is gone too.
      peer.replaceAllowedIps = true;
      delete peer.allowedIps;
      return value === "true";
    case "allowed_ip":
      return defined(parseAllowedIp(value), (change) => {
        peer.allowedIps ??= [];
        peer.allowedIps.push(change);
      });
    case "protocol_version":
      return value === "1";
    default:
      return false;
  }
}

/** Gives a value that was understood to `use`; false for one that was not. */
function defined<Value>(value: Value | undefined, use: (value: Value) => void): boolean {
  if (value === undefined) return false;
  use(value);
  return true;
}

function parseKeyHex(value: string): Uint8Array | undefined {
  return parseHex(value, KEY_LENGTH_BYTES);
}

function parseNumber(value: string, maximum: number): number | undefined {
  if (!/^[0-9]{1,20}$/.test(value)) return undefined;
  const number = Number(value);
  return number <= maximum ? number : undefined;
}

/** `10.0.0.0/8`, or `-10.0.0.0/8` to take it away from this peer. */
function parseAllowedIp(value: string): AllowedIpChange | undefined {
  const remove = value.startsWith("-");
  const text = remove ? value.slice(1) : value;
  if (!text.includes("/")) return undefined;
  const prefix: IpPrefix | undefined = parsePrefix(text);
  if (!prefix) return undefined;
  return remove ? { prefix: maskPrefix(prefix), remove } : { prefix: maskPrefix(prefix) };
}
