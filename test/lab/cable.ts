/** A cable: from a host to a switch, or from host to host. */

import type { NetworkInterface } from "./network-interface.ts";
import type { Port, SwitchRoom } from "./switch-room.ts";

export class Cable {
  /** The host's end that `connect` was asked for. */
  readonly near: NetworkInterface;
  /** The other host's end; `undefined` if that is a switch. */
  readonly far: NetworkInterface | undefined;
  /** Where it passes the room of switches: one port, or one for each of two hosts. */
  readonly ports: readonly Port[];
  readonly #room: SwitchRoom;

  constructor(room: SwitchRoom, near: NetworkInterface, far: NetworkInterface | undefined, ports: readonly Port[]) {
    this.#room = room;
    this.near = near;
    this.far = far;
    this.ports = ports;
  }

  /** Hosts lose the carrier, and keep their addresses and routes. For a cable that swallows silently: `setLoss(1)`. */
  cut(): void {
    for (const port of this.ports) this.#room.setPortUp(port, false);
  }

  restore(): void {
    for (const port of this.ports) this.#room.setPortUp(port, true);
  }

  /** Loses that share (0 to 1) of IP packets, each way, at random. */
  setLoss(share: number): void {
    // A cable from host to host passes two ports, where each packet would be lost by either.
    this.#room.setLoss(this.ports.slice(0, 1), share);
  }
}
