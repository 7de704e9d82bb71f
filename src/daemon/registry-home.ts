/**
 * The registry as this machine follows it: where it is, by which token, and how that changes while the daemon runs.
 * Tokens change with an epoch, the registry moves, the machine that serves it gets another address. The client stays
 * the same object through all of it; what it is told is on disk before.
 */

import { createHash } from "node:crypto";
import { decodeUtf8, equalBytes, formatBase64Url } from "../base/bytes.ts";
import type { Endpoint, IpAddress } from "../base/ip.ts";
import type { FirstReachableRegistry } from "../registry/first-reachable.ts";
import type { RegistryPlace } from "../trust/registry-place.ts";
import type { EmbeddedRegistry } from "./embedded-registry.ts";
import { forgetRegistries, hasRegistries, readRegistries, writeRegistries } from "./registries-file.ts";
import { candidatesOf, openRegistryAt, type RegistryAddress } from "./registry-connection.ts";
import { readServingCapability, type ServingMachine, servedUrls } from "./registry-serving.ts";
import type { StateDirectory } from "./state-directory.ts";
import type { RegistryTokens } from "./tailnet-epochs.ts";

/** The move that was followed last, as its hash. A person may have said another address after it. */
const MOVE_FILE = "registry-move";

/** What is known of a member here: its record's capabilities, and where it is. */
export interface KnownMachine extends Omit<ServingMachine, "port"> {
  readonly capabilities: readonly { readonly id: number; readonly value: Uint8Array }[];
  readonly addresses: readonly IpAddress[];
}

export class RegistryHome {
  readonly client: FirstReachableRegistry;
  readonly embedded: EmbeddedRegistry | undefined;
  readonly #state: StateDirectory;
  /** As on disk; `undefined` where this machine follows the registry that it serves itself. */
  #elsewhere: readonly RegistryAddress[] | undefined;
  /** Further URLs of the same registries, by their pins in base64url: where their machines are by their records. */
  #learnt = new Map<string, readonly string[]>();
  #closed = false;

  /** `elsewhere` is on disk already. */
  constructor(
    state: StateDirectory,
    embedded: EmbeddedRegistry | undefined,
    elsewhere: readonly RegistryAddress[] | undefined,
  ) {
    this.#state = state;
    this.embedded = embedded;
    this.#elsewhere = elsewhere;
    this.client = openRegistryAt(this.addresses);
  }

  /** As it was when the daemon last ran. Throws `state-damaged` where no registry is known. */
  static reopen(state: StateDirectory, embedded: EmbeddedRegistry | undefined): RegistryHome {
    const followsOwn = embedded !== undefined && !hasRegistries(state);
    return new RegistryHome(state, embedded, followsOwn ? undefined : readRegistries(state));
  }

  /** Where this machine reaches it. */
  get addresses(): readonly RegistryAddress[] {
    return this.#elsewhere ?? [this.embedded!.own];
  }

  /** Whether this machine serves the registry that it follows. */
  get servesOwn(): boolean {
    return this.#elsewhere === undefined;
  }

  /** Where newcomers find it; `endpoints` are addresses of this machine. */
  addressesFor(endpoints: readonly Endpoint[]): readonly RegistryAddress[] {
    return this.#elsewhere ?? [this.embedded!.addressAt(endpoints)];
  }

  /**
   * The tokens of the newest epoch: here the newest writes from now on and the older ones only read; a registry that is
   * elsewhere and took one of the older ones is asked with the newest. Safe to repeat.
   */
  setTokens({ newest, older }: RegistryTokens): void {
    if (newest === "") return;
    const ownBefore = this.embedded?.own.token;
    if (ownBefore !== undefined && ownBefore !== newest) this.embedded!.setTokens({ newest, older });
    if (this.#elsewhere) {
      const isOlder = ({ token }: RegistryAddress) => token !== undefined && token !== newest && older.includes(token);
      if (!this.#elsewhere.some(isOlder)) return;
      this.#follow(this.#elsewhere.map((address) => (isOlder(address) ? { ...address, token: newest } : address)));
    } else if (ownBefore !== newest) {
      this.client.replace(this.#candidates());
    }
  }

  /** The registry is there from now on. */
  useAddresses(addresses: readonly RegistryAddress[]): void {
    if (addresses.every(({ pin }) => pin && this.embedded && equalBytes(pin, this.embedded.pin))) this.#followOwn();
    else this.#follow(addresses);
  }

  /** Follows a move that the chain tells of, once; true if the registry is another one since. */
  followMove(places: readonly RegistryPlace[]): boolean {
    if (places.length === 0) return false;
    const hash = createHash("sha256")
      .update(JSON.stringify(places.map(plain)))
      .digest("hex");
    const followed = this.#state.read(MOVE_FILE);
    if (followed && decodeUtf8(followed)?.trim() === hash) return false;
    this.useAddresses(places.map((place) => this.#withKnownToken(addressOf(place))));
    this.#state.write(MOVE_FILE, `${hash}\n`);
    return true;
  }

  /** Learns from the members' records where the machines are that serve the registry: they may have moved. */
  learnFrom(machines: readonly KnownMachine[]): void {
    const learnt = new Map<string, readonly string[]>();
    for (const { capabilities, endpoints, addresses } of machines) {
      const served = readServingCapability(capabilities);
      if (!served) continue;
      const urls = servedUrls({ endpoints, addresses, port: served.port });
      learnt.set(formatBase64Url(served.pin), urls);
    }
    if (JSON.stringify([...learnt]) === JSON.stringify([...this.#learnt])) return;
    this.#learnt = learnt;
    this.client.offer(this.#candidates());
  }

  close(): void {
    this.#closed = true;
    this.client.close();
  }

  /** Where the chain says none for the registry that is followed already, that one's holds: it goes with the epochs. */
  #withKnownToken(address: RegistryAddress): RegistryAddress {
    const { pin, token } = address;
    if (token !== undefined || !pin) return address;
    const same = this.addresses.find((known) => known.pin && equalBytes(known.pin, pin));
    return same ? { ...address, token: same.token } : address;
  }

  #follow(addresses: readonly RegistryAddress[]): void {
    writeRegistries(this.#state, addresses);
    this.#elsewhere = addresses;
    if (!this.#closed) this.client.replace(this.#candidates());
  }

  #followOwn(): void {
    forgetRegistries(this.#state);
    this.#elsewhere = undefined;
    if (!this.#closed) this.client.replace(this.#candidates());
  }

  #candidates() {
    return candidatesOf(
      this.addresses.map((address) => {
        const learnt = (address.pin && this.#learnt.get(formatBase64Url(address.pin))) ?? [];
        return { ...address, urls: [...new Set([...address.urls, ...learnt])] };
      }),
    );
  }
}

function addressOf({ urls, token, pin }: RegistryPlace): RegistryAddress {
  return { urls, token: token === "" ? undefined : token, pin };
}

function plain({ urls, token, pin }: RegistryPlace): object {
  return { urls, token, pin: pin && formatBase64Url(pin) };
}
