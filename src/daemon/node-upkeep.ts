/**
 * Keeps a running node in step with what is around it: the members of its tailnet, the network that this machine is
 * in, and what happens in its tunnel.
 */

import { errorMessage } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { linkState } from "../host/interface.ts";
import { CleanUps } from "./clean-ups.ts";
import { COME_BACK_HINT, describeRemoval } from "./membership-health.ts";
import type { RunningNode } from "./running-node.ts";
import type { TunnelEvent } from "./tunnel.ts";
import { fitSegments } from "./tunnel-device.ts";

/** Addresses and links often change several at a time. */
const NETWORK_SETTLES_MS = 250;

/** How long a start waits for the machine's record to be written. */
const PUBLISHING_LIMIT_MS = 1000;

export class NodeUpkeep {
  readonly node: RunningNode;
  readonly #log: Log;
  readonly #cleanUps: CleanUps;
  #settling: Timer | undefined;
  #isRemoved = false;
  #stopped = false;

  /** `node` knows its netmap already. */
  constructor(node: RunningNode, log: Log) {
    this.node = node;
    this.#log = log;
    this.#cleanUps = new CleanUps(log);
  }

  /** True while this machine belongs no more, though it did when it came up. */
  get isRemoved(): boolean {
    return this.#isRemoved;
  }

  /** Tells the tailnet where this machine is, and follows it from here on. */
  async start(): Promise<void> {
    const { nodeKeyRotation, steward, parts } = this.node;
    const { membership, peerApi, ownInterface } = parts;
    const { tailnet, registryHome } = membership;
    registryHome.learnFrom(this.node.netmap.peers);
    this.#cleanUps.add(tailnet.onChange(() => this.#handleTailnetChange()));
    // What changed before it was listened to.
    ownInterface.handleNetworkChange();
    this.#cleanUps.add(() => ownInterface.stop());
    peerApi.start();
    this.#cleanUps.add(() => peerApi.stop());
    // Who is told that this machine is up may reach it at once. A registry that does not answer is not waited for long.
    await Promise.race([this.#publishEndpoints(), Bun.sleep(PUBLISHING_LIMIT_MS)]);
    tailnet.start();
    nodeKeyRotation.start();
    this.#cleanUps.add(() => nodeKeyRotation.stop());
    steward.start();
    this.#cleanUps.add(() => steward.stop());
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#settling);
    await this.#cleanUps.run();
  }

  handleTunnelEvent(event: TunnelEvent): void {
    if (this.#stopped) return;
    const { echo, peerApi } = this.node.parts;
    switch (event.type) {
      case "echo-reply":
        echo.handleReply(event.packet);
        break;
      case "session":
        peerApi.handleSession(event.slot);
        break;
      case "network-changed":
        this.#settling ??= setTimeout(() => {
          this.#settling = undefined;
          this.#handleNetworkChange();
        }, NETWORK_SETTLES_MS);
        break;
    }
  }

  #handleTailnetChange(): void {
    const { membership, mesh, settings } = this.node.parts;
    const netmap = membership.tailnet.netmap(settings.suffix);
    if (!netmap) {
      this.#handleRemoved();
      return;
    }
    this.#isRemoved = false;
    mesh.setNetmap(netmap);
    membership.registryHome.learnFrom(netmap.peers);
  }

  /** It learnt that it belongs no more. It stays up: who serves the registry serves it on, and a signer may take it back. */
  #handleRemoved(): void {
    const { mesh, membership } = this.node.parts;
    mesh.cutOff();
    if (this.#isRemoved) return;
    this.#isRemoved = true;
    this.#log.warn(`${describeRemoval(membership.tailnet)}; ${COME_BACK_HINT}`);
  }

  #handleNetworkChange(): void {
    const { tunnel, ownInterface, settings } = this.node.parts;
    ownInterface.handleNetworkChange();
    const link = linkState(settings.interfaceName);
    if (link) {
      tunnel.setMtu(link.mtuBytes);
      fitSegments({ name: settings.interfaceName, way: tunnel.way }, link.mtuBytes);
    }
    void this.#publishEndpoints();
  }

  async #publishEndpoints(): Promise<void> {
    try {
      await this.node.publishRecord();
    } catch (error) {
      this.#log.warn(`publishing endpoints: ${errorMessage(error)}`);
    }
  }
}
