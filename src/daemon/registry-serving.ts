/**
 * How a member says in its record that it serves a registry, so that others find it where the machine is now: at the
 * addresses of its record, and through the tunnel.
 *
 *     capability 2: TCP port (2) ‖ pin (32)
 */

import { type Endpoint, formatEndpoint, type IpAddress } from "../base/ip.ts";
import { PIN_LENGTH_BYTES, type Pin } from "../registry/pin.ts";
import type { Capability } from "../trust/record.ts";

export const SERVING_CAPABILITY = 2;

const PORT_LENGTH_BYTES = 2;

export interface ServedRegistry {
  readonly port: number;
  readonly pin: Pin;
}

/** A member that serves a registry, by its record and the chain. */
export interface ServingMachine {
  readonly port: number;
  readonly endpoints: readonly Endpoint[];
  /** Inside the tailnet. */
  readonly addresses: readonly IpAddress[];
}

export function servingCapability({ port, pin }: ServedRegistry): Capability {
  const value = new Uint8Array(PORT_LENGTH_BYTES + PIN_LENGTH_BYTES);
  new DataView(value.buffer).setUint16(0, port);
  value.set(pin, PORT_LENGTH_BYTES);
  return { id: SERVING_CAPABILITY, value };
}

/** `undefined` where the member serves none, or says so in a way of a later version. */
export function readServingCapability(capabilities: readonly Capability[]): ServedRegistry | undefined {
  const value = capabilities.find(({ id }) => id === SERVING_CAPABILITY)?.value;
  if (value?.length !== PORT_LENGTH_BYTES + PIN_LENGTH_BYTES) return undefined;
  const port = new DataView(value.buffer, value.byteOffset).getUint16(0);
  return port === 0 ? undefined : { port, pin: value.slice(PORT_LENGTH_BYTES) };
}

/** Where it may be reached, each address once. */
export function servedUrls({ port, endpoints, addresses }: ServingMachine): string[] {
  const all = [...endpoints.map(({ address }) => address), ...addresses];
  return [...new Set(all.map((address) => `https://${formatEndpoint({ address, port })}`))];
}
