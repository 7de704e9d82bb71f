/** `minitail lock status` */

import { type ListedHead, type ListedSigner, lockStatusCall } from "../../daemon/calls/lock.ts";
import { LocalApiClient } from "../../daemon/local-api-client.ts";
import { declareCommand } from "../declare.ts";
import { EXIT_DONE } from "../exit-status.ts";
import { formatTable } from "../output.ts";
import { tellIfSlow } from "../waiting.ts";

/** Of a hash, what tells it from others. */
const HASH_SHOWN = 16;

export default declareCommand({
  name: "status",
  description: "who may admit and remove machines, and how far the signed chain goes",
  examples: ["minitail lock status", "minitail lock status --json"],
  args: {},
  async run(_args, { globals, log, output }) {
    const status = await tellIfSlow(log, "the daemon", new LocalApiClient(globals.socketPath).call(lockStatusCall));
    if (globals.json) {
      output.json(status);
      return EXIT_DONE;
    }
    const { tailnetId, head, signers, forks } = status;
    const facts = [
      ["tailnet", tailnetId],
      ["head", formatHead(head)],
      ...forks.map((fork) => [
        "fork",
        `others stand at ${formatHead(fork.head)} since ${fork.forkNumber}; minitail lock settle`,
      ]),
    ];
    for (const line of formatTable(facts)) output.line(line);
    output.line("");
    for (const line of formatTable(signers.map(row))) output.line(line);
    return EXIT_DONE;
  },
});

function formatHead({ number, hash }: ListedHead): string {
  return `${number} ${hash.slice(0, HASH_SHOWN)}`;
}

function row(signer: ListedSigner): string[] {
  const { kind, name, id, publicKey, scope, admittedAtNumber, self } = signer;
  const who = { machine: name ?? "", "shared-secret": "who knows the secret", key: "a key of no member" }[kind];
  const may = scope === "all" ? "decides everything" : "admits machines";
  return [who, id ?? publicKey.slice(0, HASH_SHOWN), may, `since ${admittedAtNumber}`, self ? "this machine" : ""];
}
