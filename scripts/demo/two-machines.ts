/** Two hosts in network namespaces, joined as two people would join them. */

import { type Host, Lab } from "../../test/lab/index.ts";
import { errorText } from "../tree.ts";

const POOL = "10.11.12.0/24";
const UP_LIMIT = "30s";

/** A host of the demonstration, with a /run and a /var/lib of its own. */
class Machine {
  readonly #host: Host;
  readonly #minitail: string;

  constructor(host: Host, minitail: string) {
    this.#host = host;
    this.#minitail = minitail;
  }

  /** Runs `minitail` with the arguments and shows them; answers what it printed. */
  async minitail(...args: readonly string[]): Promise<string> {
    const shown = args.map((argument) => (argument.startsWith("mt1:") ? "mt1:..." : argument));
    console.log(`\n${this.#host.name}# minitail ${shown.join(" ")}`);
    return await this.#host.output([this.#minitail, ...args]);
  }

  /** Runs a program and shows its line and all that it printed. */
  async show(...command: readonly string[]): Promise<void> {
    console.log(`\n${this.#host.name}# ${command.join(" ")}`);
    console.log((await this.#host.output(command)).trimEnd());
  }
}

/** Shows both machines at work with the executable at `minitail`. Throws what went wrong. */
export async function demonstrate(minitail: string): Promise<void> {
  await using lab = await Lab.create("demo");
  const [hostA, hostB] = await Promise.all([lab.host("a"), lab.host("b")]);
  hostA.connect(hostB, { address: "192.0.2.1/24", peer: { address: "192.0.2.2/24" } });
  const a = new Machine(hostA, minitail);
  const b = new Machine(hostB, minitail);
  try {
    console.log((await a.minitail("up", "-d", "--pool", POOL, "--timeout", UP_LIMIT)).trimEnd());
    const key = (await a.minitail("key", "create")).trim();
    console.log("mt1:... (a join key)");
    console.log((await b.minitail("up", "-d", "--join", key, "--timeout", UP_LIMIT)).trimEnd());
    await a.show("ping", "-c", "3", "-i", "0.2", "10.11.12.2");
    await b.show("ping", "-c", "3", "-i", "0.2", "10.11.12.1");
    console.log((await a.minitail("ping", "b")).trimEnd());
    console.log((await b.minitail("status")).trimEnd());
  } finally {
    for (const machine of [b, a]) await machine.minitail("down").catch((error) => console.log(errorText(error)));
  }
}
