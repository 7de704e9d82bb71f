/** Every call of the local API, and what the daemon does to answer it. */

import { isMinitailError, MinitailError } from "../base/errors.ts";
import { createJoinKeyCall } from "./calls/create-join-key.ts";
import { downCall } from "./calls/down.ts";
import { keyListCall } from "./calls/key-list.ts";
import { lockAddCall, lockLogCall, lockRemoveCall, lockSettleCall, lockStatusCall } from "./calls/lock.ts";
import { logoutCall } from "./calls/logout.ts";
import { metricsCall } from "./calls/metrics.ts";
import { approveCall, askingMachineCall } from "./calls/node-approve.ts";
import { freeNameCall } from "./calls/node-free-name.ts";
import { nodeListCall } from "./calls/node-list.ts";
import { renameNodeCall } from "./calls/node-rename.ts";
import { pingCall } from "./calls/ping.ts";
import { backUpRegistryCall } from "./calls/registry-backup.ts";
import { moveRegistryCall } from "./calls/registry-move.ts";
import { registryStatusCall } from "./calls/registry-status.ts";
import { removeNodeCall } from "./calls/remove-node.ts";
import { revokeKeyCall } from "./calls/revoke-key.ts";
import { rotateNodeKeyCall } from "./calls/rotate-node-key.ts";
import { retireSecretCall } from "./calls/secret-retire.ts";
import { setExpiryCall } from "./calls/set-expiry.ts";
import { statusCall } from "./calls/status.ts";
import { chainLog } from "./chain-log.ts";
import type { Daemon } from "./daemon.ts";
import { addSigner } from "./decide/add-signer.ts";
import { findAskingMachine } from "./decide/approve-machine.ts";
import { freeName } from "./decide/free-name.ts";
import { moveRegistry } from "./decide/move-registry.ts";
import { removeSigner } from "./decide/remove-signer.ts";
import { renameNode } from "./decide/rename-node.ts";
import { retireSecret } from "./decide/retire-secret.ts";
import { revokeKey } from "./decide/revoke-key.ts";
import { settleFork } from "./decide/settle-fork.ts";
import { keyList, listedKey } from "./key-list.ts";
import { type Route, route } from "./local-api-server.ts";
import { lockStatus } from "./lock-status.ts";
import { makeMetrics } from "./metrics.ts";
import { nodeList } from "./node-list.ts";
import { backUpRegistry } from "./registry-backup.ts";
import type { RunningNode } from "./running-node.ts";

/** The calls of this daemon; those that need a node throw `daemon-starting` or `not-approved` until it runs. */
export function routesOf(daemon: Daemon): readonly Route[] {
  const running = () => runningNode(daemon);
  const tailnet = () => running().parts.membership.tailnet;
  return [
    route(statusCall, () => daemon.status()),
    route(downCall, () => {
      daemon.down();
      return {};
    }),
    route(pingCall, (request) => running().ping(request)),
    route(registryStatusCall, () => running().registryStatus()),
    route(moveRegistryCall, (request) => {
      const { tailnet, registryHome } = running().parts.membership;
      return moveRegistry(tailnet, registryHome, request);
    }),
    route(backUpRegistryCall, (request) => backUpRegistry(running().parts.membership.embedded, request)),
    route(metricsCall, () => ({ metrics: makeMetrics(running(), daemon.status().health) })),
    route(createJoinKeyCall, (request) => running().createKey(request)),
    route(rotateNodeKeyCall, () => running().rotateNodeKey()),
    route(keyListCall, () => keyList(tailnet())),
    route(revokeKeyCall, async ({ id }) => listedKey(tailnet(), await revokeKey(tailnet(), id))),
    route(removeNodeCall, (request) => running().removeNode(request)),
    route(setExpiryCall, (request) => running().setExpiry(request)),
    route(logoutCall, async ({ force }) => {
      await daemon.logout(force);
      return {};
    }),
    route(nodeListCall, () => nodeList(tailnet())),
    route(askingMachineCall, (request) => findAskingMachine(tailnet(), request.code)),
    route(approveCall, (request) => running().approve(request)),
    route(renameNodeCall, ({ node, name }) => renameNode(tailnet(), node, name)),
    route(freeNameCall, ({ name }) => freeName(tailnet(), name)),
    route(lockStatusCall, () => lockStatus(tailnet())),
    route(lockLogCall, () => ({ statements: chainLog(tailnet().chain) })),
    route(lockAddCall, ({ name, onlyAdmits }) => addSigner(tailnet(), name, onlyAdmits ? "admit" : "all")),
    route(retireSecretCall, () => retireSecret(tailnet())),
    route(lockSettleCall, ({ hash }) => settleFork(tailnet(), hash)),
    route(lockRemoveCall, ({ name, withMachines }) => removeSigner(tailnet(), name, withMachines)),
  ];
}

/** This node. Before it runs the daemon does run all the same: who asks can wait, or let this machine in. */
export function runningNode(daemon: Pick<Daemon, "running" | "status">): RunningNode {
  try {
    return daemon.running();
  } catch (error) {
    if (!isMinitailError(error, "daemon-not-running")) throw error;
    throw daemon.status().state === "needs-approval" ? notApproved() : starting();
  }
}

function notApproved(): MinitailError {
  return new MinitailError("not-approved", "this machine is no member yet: it waits to be let in", {
    hint: "minitail status shows the code for minitail node approve",
  });
}

function starting(): MinitailError {
  return new MinitailError("daemon-starting", "the daemon is still starting", { hint: "minitail status tells when" });
}
