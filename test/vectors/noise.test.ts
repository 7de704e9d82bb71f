/** The published vectors of Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s (cacophony, snow) through our handshake, both roles. */

import { expect, test } from "bun:test";
import { parseHex } from "../../src/base/bytes.ts";
import { openChaCha20Poly1305, sealChaCha20Poly1305 } from "../../src/crypto/aead.ts";
import { x25519, x25519PublicKey } from "../../src/crypto/x25519.ts";
import { InitiatorHandshake, ResponderHandshake } from "../../src/wireguard/noise.ts";
import { readSharedVectors } from "./shared-vectors.ts";

interface NoiseVector {
  readonly protocol_name: string;
  readonly init_prologue: string;
  readonly init_psks: readonly string[];
  readonly init_static: string;
  readonly init_ephemeral: string;
  readonly init_remote_static: string;
  readonly resp_prologue: string;
  readonly resp_psks: readonly string[];
  readonly resp_static: string;
  readonly resp_ephemeral: string;
  readonly handshake_hash?: string;
  readonly messages: readonly { readonly payload: string; readonly ciphertext: string }[];
}

test("the vectors of Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s", () => {
  const file = readSharedVectors<{ vectors: readonly NoiseVector[] }>("noise-ikpsk2-25519-chachapoly-blake2s.json");
  if (!file) return;
  expect(file.vectors.length).toBeGreaterThan(0);
  for (const vector of file.vectors) check(vector);
});

function check(vector: NoiseVector): void {
  expect(vector.protocol_name).toBe("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s");
  const initiatorStatic = hex(vector.init_static);
  const responderStatic = hex(vector.resp_static);
  const responderPublic = x25519PublicKey(responderStatic);
  expect(responderPublic).toEqual(hex(vector.init_remote_static));
  const staticShared = x25519(initiatorStatic, responderPublic)!;
  const [first, second, ...transport] = vector.messages;

  const initiator = InitiatorHandshake.start({
    prologue: hex(vector.init_prologue),
    staticPublic: x25519PublicKey(initiatorStatic),
    staticShared,
    remoteStatic: responderPublic,
    ephemeralPrivate: hex(vector.init_ephemeral),
    payload: hex(first!.payload),
  })!;
  const { ephemeral, sealedStatic, sealedPayload } = initiator;
  expect(Buffer.concat([ephemeral, sealedStatic, sealedPayload]).toString("hex")).toBe(first!.ciphertext);

  const responder = ResponderHandshake.start({
    prologue: hex(vector.resp_prologue),
    staticPrivate: responderStatic,
    staticPublic: responderPublic,
    ephemeral,
    sealedStatic,
  })!;
  expect(responder.remoteStatic).toEqual(x25519PublicKey(initiatorStatic));
  expect(responder.openPayload(staticShared, sealedPayload)).toEqual(hex(first!.payload));
  const response = responder.respond(hex(vector.resp_ephemeral), hex(vector.resp_psks[0]!), hex(second!.payload))!;
  expect(Buffer.concat([response.ephemeral, response.sealedPayload]).toString("hex")).toBe(second!.ciphertext);

  const completed = initiator.finish({
    staticPrivate: initiatorStatic,
    presharedKey: hex(vector.init_psks[0]!),
    ephemeral: response.ephemeral,
    sealedPayload: response.sealedPayload,
  })!;
  expect(completed.payload).toEqual(hex(second!.payload));
  expect(completed.keys.sendKey).toEqual(response.keys.receiveKey);
  expect(completed.keys.receiveKey).toEqual(response.keys.sendKey);
  if (vector.handshake_hash) {
    expect(completed.hash).toEqual(hex(vector.handshake_hash));
    expect(response.hash).toEqual(hex(vector.handshake_hash));
  }
  // The initiator speaks first again, and each direction counts its own messages.
  for (const [i, message] of transport.entries()) {
    const fromInitiator = i % 2 === 0;
    const key = fromInitiator ? completed.keys.sendKey : response.keys.sendKey;
    const otherKey = fromInitiator ? response.keys.receiveKey : completed.keys.receiveKey;
    const nonce = transportNonce(i >> 1);
    expect(sealChaCha20Poly1305(key, nonce, hex(message.payload))).toEqual(hex(message.ciphertext));
    expect(openChaCha20Poly1305(otherKey, nonce, hex(message.ciphertext))).toEqual(hex(message.payload));
  }
}

function transportNonce(counter: number): Uint8Array {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setBigUint64(4, BigInt(counter), true);
  return nonce;
}

function hex(text: string): Uint8Array {
  return parseHex(text)!;
}
