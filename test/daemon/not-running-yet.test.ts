/** What commands are told by a daemon whose node does not run yet. */

import { expect, test } from "bun:test";
import { MinitailError } from "../../src/base/errors.ts";
import type { DaemonState, Status } from "../../src/daemon/api.ts";
import { runningNode } from "../../src/daemon/routes.ts";
import type { RunningNode } from "../../src/daemon/running-node.ts";

const NODE = {} as RunningNode;

function daemonThat(state: DaemonState, running: () => RunningNode) {
  return { running, status: () => ({ state }) as Status };
}

const noNode = () => {
  throw new MinitailError("daemon-not-running", "no node yet");
};

test.each<[DaemonState, string]>([
  ["starting", "daemon-starting"],
  ["stopped", "daemon-starting"],
  ["needs-approval", "not-approved"],
])("%s: %s, which is not that no daemon runs", (state, code) => {
  expect(() => runningNode(daemonThat(state, noNode))).toThrow(expect.objectContaining({ code }));
});

test("a node is answered in any state, and other failures stay what they are", () => {
  expect(runningNode(daemonThat("starting", () => NODE))).toBe(NODE);
  const failure = new Error("anything");
  const fails = () => {
    throw failure;
  };
  expect(() => runningNode(daemonThat("running", fails))).toThrow(failure);
});
