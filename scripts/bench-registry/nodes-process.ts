/** A process of simulated nodes; the benchmark starts several. Its options come as JSON, orders and reports by messages. */

import { errorMessage } from "../../src/base/errors.ts";
import { openRegistry } from "../../src/registry/open.ts";
import type { Knowledge, NodesOptions, Order, Report } from "./messages.ts";
import { SimulatedNode } from "./simulated-node.ts";

const POLL_MS = 5;
const REQUEST_TIMEOUT_MS = 60_000;

const { url, token, channel, count, first, total } = JSON.parse(process.argv[2]!) as NodesOptions;
const nodes = Array.from({ length: count }, (_, i) => {
  const registry = openRegistry(url, { token, requestTimeoutMs: REQUEST_TIMEOUT_MS });
  return new SimulatedNode({ registry, channel, number: first + i, total });
});

function report(message: Report): void {
  process.send!(message);
}

function reportWhenAllKnow(wanted: Knowledge): void {
  const atMs: number[] = [];
  let waiting = nodes;
  const timer = setInterval(() => {
    const still = waiting.filter((node) => !node.knows(wanted));
    for (let i = still.length; i < waiting.length; i++) atMs.push(Date.now());
    waiting = still;
    if (waiting.length > 0) return;
    clearInterval(timer);
    report({ kind: "all-know", atMs, commandsSent: nodes.reduce((sum, node) => sum + node.commandsSent, 0) });
  }, POLL_MS);
}

process.on("message", (order: Order) => {
  switch (order.kind) {
    case "start":
      for (const node of nodes) node.start();
      break;
    case "publish":
      Promise.all(nodes.map((node) => node.publish())).catch((error: unknown) =>
        report({ kind: "failed", message: errorMessage(error) }),
      );
      break;
    case "expect":
      reportWhenAllKnow(order);
      break;
    case "stop":
      for (const node of nodes) node.stop();
      process.exit(0);
  }
});
