/** Every call of the local API, and what the daemon does to answer it. */

import { createJoinKeyCall } from "./calls/create-join-key.ts";
import { downCall } from "./calls/down.ts";
import { metricsCall } from "./calls/metrics.ts";
import { nodeListCall } from "./calls/node-list.ts";
import { pingCall } from "./calls/ping.ts";
import { backUpRegistryCall } from "./calls/registry-backup.ts";
import { moveRegistryCall } from "./calls/registry-move.ts";
import { registryStatusCall } from "./calls/registry-status.ts";
import { rotateNodeKeyCall } from "./calls/rotate-node-key.ts";
import { statusCall } from "./calls/status.ts";
import type { Daemon } from "./daemon.ts";
import { moveRegistry } from "./decide/move-registry.ts";
import { type Route, route } from "./local-api-server.ts";
import { makeMetrics } from "./metrics.ts";
import { nodeList } from "./node-list.ts";
import { backUpRegistry } from "./registry-backup.ts";

export function routesOf(daemon: Daemon): readonly Route[] {
  return [
    route(statusCall, () => daemon.status()),
    route(downCall, () => {
      daemon.down();
      return {};
    }),
    route(pingCall, (request) => daemon.running().ping(request)),
    route(registryStatusCall, () => daemon.running().registryStatus()),
    route(moveRegistryCall, (request) => {
      const { tailnet, registryHome } = daemon.running().parts.membership;
      return moveRegistry(tailnet, registryHome, request);
    }),
    route(backUpRegistryCall, (request) => backUpRegistry(daemon.running().parts.membership.embedded, request)),
    route(metricsCall, () => ({ metrics: makeMetrics(daemon.running(), daemon.status().health) })),
    route(createJoinKeyCall, (request) => daemon.running().createKey(request)),
    route(rotateNodeKeyCall, () => daemon.running().rotateNodeKey()),
    route(nodeListCall, () => nodeList(daemon.running().parts.membership.tailnet)),
  ];
}
