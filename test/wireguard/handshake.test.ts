import { describe, expect, test } from "bun:test";
import { MESSAGE_INITIATION, MESSAGE_RESPONSE, MESSAGE_TRANSPORT } from "../../src/wire/wireguard.ts";
import { pair } from "./simulation.ts";

describe("a handshake", () => {
  test("carries a packet that waited, and then packets of both sides", () => {
    const { simulation, a, b } = pair();
    a.sendTo(b, "first");
    simulation.run(100);
    expect(b.receivedFrom(a)).toEqual(["first"]);
    b.sendTo(a, "answer");
    simulation.run(100);
    expect(a.receivedFrom(b)).toEqual(["answer"]);
    expect(simulation.sent.map((datagram) => datagram.bytes[0])).toEqual([
      MESSAGE_INITIATION,
      MESSAGE_RESPONSE,
      MESSAGE_TRANSPORT,
      MESSAGE_TRANSPORT,
    ]);
  });
});
