import { expect, test } from "bun:test";
import { inNewNetwork, run } from "./network.ts";

const example = (name: string) => new URL(`../example/${name}`, import.meta.url).pathname;

test("udp-batch: forty datagrams arrive in fewer receives", () => {
  const output = run(process.execPath, example("udp-batch.ts"));
  expect(output).toContain("sent 48000 bytes\n");
  expect(output).toContain("datagrams of 1200 bytes");
});

test("wake-worker: the Worker wakes", () => {
  expect(run(process.execPath, example("wake-worker.ts"))).toMatch(/^the Worker woke \d+ µs after the signal\n$/);
});

test("ping-responder: an address that nobody has answers", async () => {
  let responder: Bun.Subprocess<"ignore", "pipe", "inherit"> | undefined;
  let ping: Bun.Subprocess<"ignore", "pipe", "inherit"> | undefined;
  inNewNetwork(() => {
    responder = Bun.spawn([process.execPath, example("ping-responder.ts")], { stdout: "pipe" });
    // It fails at once until the interface is there.
    const command = "until ping -c 3 -i 0.01 -W 2 10.77.0.99; do sleep 0.05; done";
    ping = Bun.spawn(["timeout", "10", "sh", "-c", command], { stdout: "pipe" });
  });
  expect(await new Response(ping!.stdout).text()).toContain("3 received, 0% packet loss");
  responder!.kill();
  await responder!.exited;
});
