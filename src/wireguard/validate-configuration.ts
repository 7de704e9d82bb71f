/** Refuses a configuration that cannot be applied as a whole, before any of it is. */

import { formatHex } from "../base/bytes.ts";
import { MinitailError } from "../base/errors.ts";
import { addressLengthBits, type Endpoint, IPV4_LENGTH_BYTES, IPV6_LENGTH_BYTES, type IpPrefix } from "../base/ip.ts";
import { KEY_LENGTH_BYTES } from "../base/key.ts";
import type { DeviceConfiguration, PeerConfiguration } from "./configuration.ts";

const MAXIMUM_PERSISTENT_KEEPALIVE_SECONDS = 65_535;

/** Throws a `MinitailError` "invalid" that names what is wrong. */
export function validateConfiguration(change: DeviceConfiguration): void {
  if (change.privateKey) checkKey("private key", change.privateKey);
  for (const peer of change.peers ?? []) validatePeer(peer);
}

/** How many peers the configuration adds, its removals not counted. */
export function countNewPeers(change: DeviceConfiguration, isKnown: (publicKey: Uint8Array) => boolean): number {
  const added = new Set<string>();
  for (const { publicKey, formerPublicKey, remove, updateOnly } of change.peers ?? []) {
    const isNew = !isKnown(publicKey) && !(formerPublicKey && isKnown(formerPublicKey));
    if (!remove && !updateOnly && isNew) added.add(formatHex(publicKey));
  }
  return added.size;
}

function validatePeer(peer: PeerConfiguration): void {
  checkKey("public key", peer.publicKey);
  if (peer.formerPublicKey) checkKey("former public key", peer.formerPublicKey);
  if (peer.presharedKey) checkKey("preshared key", peer.presharedKey);
  if (peer.endpoint) checkEndpoint(peer.endpoint);
  const seconds = peer.persistentKeepaliveSeconds ?? 0;
  if (!isWholeNumberUpTo(seconds, MAXIMUM_PERSISTENT_KEEPALIVE_SECONDS)) {
    throw invalid(`a persistent keepalive of ${seconds} seconds`);
  }
  for (const { prefix } of peer.allowedIps ?? []) checkPrefix(prefix);
}

function checkKey(what: string, key: Uint8Array): void {
  if (key.length !== KEY_LENGTH_BYTES) throw invalid(`a ${what} of ${key.length} bytes`);
}

function checkEndpoint({ address, port }: Endpoint): void {
  checkAddress(address);
  if (!isWholeNumberUpTo(port, 65_535)) throw invalid(`an endpoint with port ${port}`);
}

function checkPrefix({ address, lengthBits }: IpPrefix): void {
  checkAddress(address);
  if (!isWholeNumberUpTo(lengthBits, addressLengthBits(address))) throw invalid(`a prefix of ${lengthBits} bits`);
}

function checkAddress(address: Uint8Array): void {
  const isAddress = address.length === IPV4_LENGTH_BYTES || address.length === IPV6_LENGTH_BYTES;
  if (!isAddress) throw invalid(`an address of ${address.length} bytes`);
}

function isWholeNumberUpTo(value: number, maximum: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= maximum;
}

function invalid(what: string): MinitailError {
  return new MinitailError("invalid", `WireGuard does not take ${what}`);
}
