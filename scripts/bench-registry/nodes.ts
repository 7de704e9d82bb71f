/** All simulated nodes, in several processes. */

import { join } from "node:path";
import { MinitailError } from "../../src/base/errors.ts";
import type { Knowledge, NodesOptions, Order, Report } from "./messages.ts";

/** Bun keeps so many requests of one process under way; subscriptions are requests that do not end. */
const NODES_PER_PROCESS = 250;

export interface AllKnow {
  /** From `sinceMs` until each node knew, in milliseconds, ascending. */
  readonly afterMs: readonly number[];
  /** Commands that all nodes have sent so far. */
  readonly commandsSent: number;
}

interface NodesProcess {
  send(order: Order): void;
  nextReport(): Promise<Report>;
  stop(): Promise<void>;
}

export class Nodes {
  readonly #processes: readonly NodesProcess[];

  constructor(url: string, token: string, channel: string, total: number) {
    const firsts = Array.from({ length: Math.ceil(total / NODES_PER_PROCESS) }, (_, i) => i * NODES_PER_PROCESS);
    this.#processes = firsts.map((first) => {
      const count = Math.min(NODES_PER_PROCESS, total - first);
      return startProcess({ url, token, channel, count, first, total });
    });
  }

  send(order: Order): void {
    for (const each of this.#processes) each.send(order);
  }

  /** Resolves when every node knows this. Throws what one of them failed with, and `timeout`. */
  async expect(wanted: Knowledge, sinceMs: number, limitMs: number): Promise<AllKnow> {
    this.send({ kind: "expect", ...wanted });
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => late.reject(new MinitailError("timeout", `not all nodes knew within ${limitMs / 1000} s`)),
      limitMs,
    );
    try {
      const reports = await Promise.race([Promise.all(this.#processes.map((each) => each.nextReport())), late.promise]);
      const all = reports.map((report) => {
        if (report.kind === "failed") throw new MinitailError("internal", `a node failed: ${report.message}`);
        return report;
      });
      return {
        afterMs: all.flatMap(({ atMs }) => atMs.map((each) => each - sinceMs)).sort((a, b) => a - b),
        commandsSent: all.reduce((sum, { commandsSent }) => sum + commandsSent, 0),
      };
    } finally {
      clearTimeout(timer);
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#processes.map((each) => each.stop()));
  }
}

function startProcess(options: NodesOptions): NodesProcess {
  const reports: Report[] = [];
  let waiting: ((report: Report) => void) | undefined;
  const deliver = (report: Report) => {
    if (waiting) waiting(report);
    else reports.push(report);
    waiting = undefined;
  };
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "nodes-process.ts"), JSON.stringify(options)], {
    env: { ...process.env, BUN_CONFIG_MAX_HTTP_REQUESTS: String(4 * NODES_PER_PROCESS) },
    stdout: "inherit",
    stderr: "inherit",
    ipc: deliver,
  });
  void child.exited.then((status) => deliver({ kind: "failed", message: `its process ended with status ${status}` }));
  return {
    send: (order) => child.send(order),
    nextReport: () => {
      const ready = reports.shift();
      if (ready) return Promise.resolve(ready);
      return new Promise((resolve) => {
        waiting = resolve;
      });
    },
    async stop() {
      child.kill();
      await child.exited;
    },
  };
}
