/** Whole messages of the device against an independent implementation: vectors/make_handshakes.py. */

import { describe, expect, test } from "bun:test";
import { formatHex, parseHex } from "../../src/base/bytes.ts";
import type { RandomSource } from "../../src/crypto/random.ts";
import type { Action, AddSessionAction, SendAction } from "../../src/wireguard/action.ts";
import { Device } from "../../src/wireguard/device.ts";
import handshakes from "./vectors/handshakes.json";

const NOW_MS = 1_000;
const INITIATOR = { address: Uint8Array.of(192, 0, 2, 1), port: 1001 };
const RESPONDER = { address: Uint8Array.of(192, 0, 2, 2), port: 1002 };

/** Fixed bytes by length: the ephemeral key has 32, receiver index and jitter have 2. */
function fixedRandom(ephemeral: Uint8Array): RandomSource {
  return (lengthBytes) => {
    if (lengthBytes === 32) return ephemeral.slice();
    if (lengthBytes === 2) return Uint8Array.of(0x12, 0x34);
    throw new Error(`nothing to draw ${lengthBytes} bytes from`);
  };
}

function newDevice(privateKey: string, ephemeral: string, unixMs: number): Device {
  const never = { lastSentMs: 0, lastReceivedMs: 0, firstUnansweredSentMs: 0, firstUnansweredReceivedMs: 0 };
  const device = new Device({
    random: fixedRandom(parseHex(ephemeral)!),
    unixMs: () => unixMs,
    readActivity: () => never,
    watchActivity: () => undefined,
  });
  device.configure({ privateKey: parseHex(privateKey)! }, NOW_MS);
  return device;
}

function sent(actions: readonly Action[]): SendAction {
  return actions.find((action) => action.type === "send")!;
}

function added(actions: readonly Action[]): AddSessionAction {
  return actions.find((action) => action.type === "add-session")!;
}

describe.each(handshakes)("a handshake $name", (vector) => {
  const presharedKey = parseHex(vector.presharedKey)!;

  function newPair(): { initiator: Device; responder: Device } {
    const initiator = newDevice(vector.initiatorStatic, vector.initiatorEphemeral, vector.unixMs);
    const responder = newDevice(vector.responderStatic, vector.responderEphemeral, vector.unixMs);
    initiator.configure(
      { peers: [{ publicKey: parseHex(vector.responderPublic)!, presharedKey, endpoint: RESPONDER }] },
      NOW_MS,
    );
    responder.configure({ peers: [{ publicKey: parseHex(vector.initiatorPublic)!, presharedKey }] }, NOW_MS);
    return { initiator, responder };
  }

  test("is made byte for byte, in both roles, with the same keys", () => {
    const { initiator, responder } = newPair();
    expect(formatHex(initiator.snapshot().publicKey!)).toBe(vector.initiatorPublic);
    const initiation = sent(initiator.handleHandshakeWanted(0, NOW_MS));
    expect(formatHex(initiation.bytes)).toBe(vector.initiation);
    expect(initiation.endpoint).toEqual(RESPONDER);

    const answer = responder.handleMessage(initiation.bytes, INITIATOR, NOW_MS);
    expect(formatHex(sent(answer).bytes)).toBe(vector.response);
    expect(sent(answer).endpoint).toEqual(INITIATOR);
    expect(formatHex(added(answer).sendKey)).toBe(vector.responderSendKey);
    expect(formatHex(added(answer).receiveKey)).toBe(vector.initiatorSendKey);
    expect(added(answer).remoteIndex).toBe(vector.initiatorIndex);

    const completion = initiator.handleMessage(parseHex(vector.response)!, RESPONDER, NOW_MS);
    expect(formatHex(added(completion).sendKey)).toBe(vector.initiatorSendKey);
    expect(formatHex(added(completion).receiveKey)).toBe(vector.responderSendKey);
    expect(added(completion).localIndex).toBe(vector.initiatorIndex);
    expect(added(completion).remoteIndex).toBe(vector.responderIndex);
  });

  test("carries mac2 once a cookie has come", () => {
    const { initiator } = newPair();
    initiator.handleHandshakeWanted(0, NOW_MS);
    expect(initiator.handleMessage(parseHex(vector.cookieReply)!, RESPONDER, NOW_MS)).toEqual([]);
    // A new device would make the same initiation again; this one has a later timestamp and mac1.
    const again = sent(initiator.handleTimeout(initiator.nextTimeoutMs()!)).bytes;
    expect(again.subarray(132)).not.toEqual(new Uint8Array(16));
    expect(formatHex(again.subarray(8, 88))).toBe(vector.initiation.slice(16, 176));
  });
});
