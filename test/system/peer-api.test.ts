/** The peer API of a running node towards those who are no peers, by the built executable. Needs root. */

import { expect, test } from "bun:test";
import { encodeFrame } from "../../src/daemon/peer-api/frame.ts";
import { encodeMessage } from "../../src/daemon/peer-api/message.ts";
import { eventually, Lab } from "../lab/index.ts";
import { hostsOnSwitch, type MeshNode } from "./mesh-node.ts";

const LIMIT_MS = 60_000;
const PORT = 7412;

const REQUEST = encodeFrame(encodeMessage({ kind: "want-records", known: [] }));
/** Whoever is answered is so at once. */
const ANSWER_LIMIT_MS = 1500;

/** Whether the peer API at this address answers a request. */
async function isAnswered(node: MeshNode, address: string): Promise<boolean> {
  const program = `
    const socket = require("node:net").connect({ host: "${address}", port: ${PORT} });
    socket.on("error", () => process.exit(1)).on("close", () => process.exit(1));
    socket.on("data", () => process.exit(0));
    socket.write(Buffer.from("${REQUEST.toHex()}", "hex"));
    setTimeout(() => process.exit(1), ${ANSWER_LIMIT_MS});`;
  return (await node.host.run([process.execPath, "-e", program])).status === 0;
}

async function health(node: MeshNode): Promise<string[]> {
  return (await node.status()).health.map(({ code }) => code);
}

test(
  "answers members inside the tunnel alone, on both families; where its port is taken, status says so until it is free",
  async () => {
    await using lab = await Lab.create("peer-api");
    const [alpha, beta, outsider] = await hostsOnSwitch(lab, ["alpha", "beta", "outsider"]);
    await alpha!.up("--pool", "10.11.12.0/24");
    await beta!.up("--join", await alpha!.createKey());
    const [ipv4, ipv6] = (await alpha!.status()).self!.addresses as [string, string];
    await beta!.expectPing(ipv4);
    expect(await isAnswered(beta!, ipv4)).toBe(true);
    expect(await isAnswered(beta!, ipv6)).toBe(true);
    expect(await isAnswered(beta!, "192.0.2.1")).toBe(false);

    // A neighbour that sends to the address inside the mesh by the cable, as itself and as a member that is off.
    await beta!.minitail("down");
    await outsider!.host.output(["ip", "route", "add", `${ipv4}/32`, "via", "192.0.2.1"]);
    expect(await isAnswered(outsider!, ipv4)).toBe(false);
    await outsider!.host.output(["ip", "address", "add", "10.11.12.2/32", "dev", "lo"]);
    await outsider!.host.output(["ip", "route", "change", `${ipv4}/32`, "via", "192.0.2.1", "src", "10.11.12.2"]);
    expect(await isAnswered(outsider!, ipv4)).toBe(false);

    const squatter = beta!.host.spawn([
      process.execPath,
      "-e",
      `Bun.listen({ hostname: "0.0.0.0", port: ${PORT}, socket: { data() {} } }); console.log("listening")`,
    ]);
    await squatter.waitForOutput(/listening/, 10_000);
    await beta!.up();
    await eventually("beta to say so", async () => (await health(beta!)).includes("peer-api-closed"), 5000);
    await beta!.expectPing(ipv4);
    squatter.kill("SIGKILL");
    await eventually("beta to listen", async () => !(await health(beta!)).includes("peer-api-closed"), 10_000);
    expect(await isAnswered(alpha!, "10.11.12.2")).toBe(true);
  },
  LIMIT_MS,
);
