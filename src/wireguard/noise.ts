/**
 * Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s (Noise Protocol Framework, revision 34; WireGuard paper,
 * sections 5.4.1 to 5.4.5), both roles. The initiator knows the responder's static key beforehand.
 *
 *     IKpsk2:
 *       <- s
 *       ...
 *       -> e, es, s, ss     initiation; payload: a TAI64N timestamp
 *       <- e, ee, se, psk   response; payload: nothing
 *
 * WireGuard is this pattern with its identifier as the prologue. Prologue and payload are parameters,
 * so that the pattern's own test vectors run through the same steps.
 *
 * All keys are 32 bytes. DH(a, B) fails for a public key of low order; then a step answers `undefined`.
 */

import { x25519, x25519PublicKey } from "../crypto/x25519.ts";
import { SymmetricState } from "./symmetric-state.ts";

/** The preshared key of a peer that has none. */
export const NO_PRESHARED_KEY = new Uint8Array(32);

/** The keys of a session, from the side of who holds them. */
export interface TransportKeys {
  readonly sendKey: Uint8Array;
  readonly receiveKey: Uint8Array;
}

export interface InitiationParameters {
  readonly prologue: Uint8Array;
  readonly staticPublic: Uint8Array;
  /** DH of both static keys, the same for every handshake of two peers. */
  readonly staticShared: Uint8Array;
  readonly remoteStatic: Uint8Array;
  /** Fresh; the handshake keeps a copy and erases that. */
  readonly ephemeralPrivate: Uint8Array;
  readonly payload: Uint8Array;
}

export interface ResponseParameters {
  readonly staticPrivate: Uint8Array;
  readonly presharedKey: Uint8Array;
  readonly ephemeral: Uint8Array;
  readonly sealedPayload: Uint8Array;
}

/** What a completed handshake is worth. */
export interface CompletedHandshake {
  readonly keys: TransportKeys;
  readonly payload: Uint8Array;
  /** H at the end: a name of this handshake that both sides share. */
  readonly hash: Uint8Array;
}

/** The initiator between its initiation and the response. */
export class InitiatorHandshake {
  readonly ephemeral: Uint8Array;
  readonly sealedStatic: Uint8Array;
  readonly sealedPayload: Uint8Array;
  readonly #state: SymmetricState;
  readonly #ephemeralPrivate: Uint8Array;

  private constructor(state: SymmetricState, parts: Omit<InitiationParts, "state">) {
    this.#state = state;
    this.#ephemeralPrivate = parts.ephemeralPrivate;
    this.ephemeral = parts.ephemeral;
    this.sealedStatic = parts.sealedStatic;
    this.sealedPayload = parts.sealedPayload;
  }

  /** Makes the parts of an initiation (section 5.4.2). `undefined` where the remote key is of low order. */
  static start(parameters: InitiationParameters): InitiatorHandshake | undefined {
    const { remoteStatic, staticPublic, staticShared, payload } = parameters;
    const ephemeralPrivate = parameters.ephemeralPrivate.slice();
    const ephemeral = x25519PublicKey(ephemeralPrivate);
    const state = SymmetricState.start(parameters.prologue, remoteStatic);
    // e: C := Kdf1(C, E_pub); H := Hash(H ‖ E_pub)
    state.mixHash(ephemeral);
    state.mixChain(ephemeral);
    // es: (C, κ) := Kdf2(C, DH(E_priv, S_pub of the responder))
    const ephemeralStatic = x25519(ephemeralPrivate, remoteStatic);
    if (!ephemeralStatic) return undefined;
    // s: static := Aead(κ, 0, S_pub of the initiator, H); H := Hash(H ‖ static)
    const sealedStatic = state.seal(state.mixKey(ephemeralStatic), staticPublic);
    ephemeralStatic.fill(0);
    // ss: (C, κ) := Kdf2(C, DH(S_priv, S_pub)); timestamp := Aead(κ, 0, Timestamp(), H); H := Hash(H ‖ timestamp)
    const sealedPayload = state.seal(state.mixKey(staticShared), payload);
    return new InitiatorHandshake(state, { ephemeralPrivate, ephemeral, sealedStatic, sealedPayload });
  }

  /**
   * Takes the response to this initiation (section 5.4.3). `undefined` for a forged one, after which
   * the true one may still come; after success the handshake is used up.
   */
  finish(response: ResponseParameters): CompletedHandshake | undefined {
    const state = this.#state.copy();
    const opened = this.#open(state, response);
    if (!opened) {
      state.erase();
      return undefined;
    }
    const hash = state.hash;
    const [sendKey, receiveKey] = state.split();
    this.erase();
    return { keys: { sendKey, receiveKey }, payload: opened, hash };
  }

  erase(): void {
    this.#state.erase();
    this.#ephemeralPrivate.fill(0);
  }

  #open(state: SymmetricState, response: ResponseParameters): Uint8Array | undefined {
    // e: C := Kdf1(C, E_pub of the responder); H := Hash(H ‖ E_pub of the responder)
    state.mixHash(response.ephemeral);
    state.mixChain(response.ephemeral);
    // ee: C := Kdf1(C, DH(E_priv, E_pub of the responder))
    const ephemeralEphemeral = x25519(this.#ephemeralPrivate, response.ephemeral);
    if (!ephemeralEphemeral) return undefined;
    state.mixChain(ephemeralEphemeral);
    ephemeralEphemeral.fill(0);
    // se: C := Kdf1(C, DH(S_priv, E_pub of the responder))
    const staticEphemeral = x25519(response.staticPrivate, response.ephemeral);
    if (!staticEphemeral) return undefined;
    state.mixChain(staticEphemeral);
    staticEphemeral.fill(0);
    // psk: (C, τ, κ) := Kdf3(C, Q); H := Hash(H ‖ τ); empty := Aead(κ, 0, ε, H); H := Hash(H ‖ empty)
    return state.open(state.mixKeyAndHash(response.presharedKey), response.sealedPayload);
  }
}

interface InitiationParts {
  readonly state: SymmetricState;
  readonly ephemeralPrivate: Uint8Array;
  readonly ephemeral: Uint8Array;
  readonly sealedStatic: Uint8Array;
  readonly sealedPayload: Uint8Array;
}

export interface ReceivedInitiation {
  readonly prologue: Uint8Array;
  readonly staticPrivate: Uint8Array;
  readonly staticPublic: Uint8Array;
  readonly ephemeral: Uint8Array;
  readonly sealedStatic: Uint8Array;
}

/** The parts of a response, and what the handshake came to. */
export interface Response {
  readonly ephemeral: Uint8Array;
  readonly sealedPayload: Uint8Array;
  readonly keys: TransportKeys;
  readonly hash: Uint8Array;
}

/**
 * The responder, in three steps: who claims to speak (`start`), whether it is true (`openPayload`, which
 * takes the DH of both static keys), and the answer (`respond`). A step that fails ends the handshake.
 */
export class ResponderHandshake {
  /** The static key of who claims to be the initiator; proven when `openPayload` has succeeded. */
  readonly remoteStatic: Uint8Array;
  readonly #state: SymmetricState;
  readonly #remoteEphemeral: Uint8Array;

  private constructor(state: SymmetricState, remoteStatic: Uint8Array, remoteEphemeral: Uint8Array) {
    this.#state = state;
    this.remoteStatic = remoteStatic;
    this.#remoteEphemeral = remoteEphemeral.slice();
  }

  /** e, es, s of the initiation. `undefined` for a forged one. */
  static start(initiation: ReceivedInitiation): ResponderHandshake | undefined {
    const { ephemeral } = initiation;
    const state = SymmetricState.start(initiation.prologue, initiation.staticPublic);
    // e: C := Kdf1(C, E_pub of the initiator); H := Hash(H ‖ E_pub of the initiator)
    state.mixHash(ephemeral);
    state.mixChain(ephemeral);
    // es: (C, κ) := Kdf2(C, DH(S_priv, E_pub of the initiator))
    const ephemeralStatic = x25519(initiation.staticPrivate, ephemeral);
    if (!ephemeralStatic) return undefined;
    const key = state.mixKey(ephemeralStatic);
    ephemeralStatic.fill(0);
    // s: S_pub of the initiator := Open(κ, 0, static, H); H := Hash(H ‖ static)
    const remoteStatic = state.open(key, initiation.sealedStatic);
    return remoteStatic && new ResponderHandshake(state, remoteStatic, ephemeral);
  }

  /** ss and the payload of the initiation. `undefined` for a forged one. */
  openPayload(staticShared: Uint8Array, sealedPayload: Uint8Array): Uint8Array | undefined {
    // ss: (C, κ) := Kdf2(C, DH(S_priv, S_pub)); timestamp := Open(κ, 0, timestamp, H); H := Hash(H ‖ timestamp)
    return this.#state.open(this.#state.mixKey(staticShared), sealedPayload);
  }

  /** The response (section 5.4.3). `undefined` where the initiator's keys are of low order. Uses the handshake up. */
  respond(ephemeralPrivate: Uint8Array, presharedKey: Uint8Array, payload: Uint8Array): Response | undefined {
    const state = this.#state;
    const ephemeral = x25519PublicKey(ephemeralPrivate);
    // e: C := Kdf1(C, E_pub); H := Hash(H ‖ E_pub)
    state.mixHash(ephemeral);
    state.mixChain(ephemeral);
    // ee: C := Kdf1(C, DH(E_priv, E_pub of the initiator))
    const ephemeralEphemeral = x25519(ephemeralPrivate, this.#remoteEphemeral);
    if (!ephemeralEphemeral) return undefined;
    state.mixChain(ephemeralEphemeral);
    ephemeralEphemeral.fill(0);
    // se: C := Kdf1(C, DH(E_priv, S_pub of the initiator))
    const staticEphemeral = x25519(ephemeralPrivate, this.remoteStatic);
    if (!staticEphemeral) return undefined;
    state.mixChain(staticEphemeral);
    staticEphemeral.fill(0);
    // psk: (C, τ, κ) := Kdf3(C, Q); H := Hash(H ‖ τ); empty := Aead(κ, 0, ε, H); H := Hash(H ‖ empty)
    const sealedPayload = state.seal(state.mixKeyAndHash(presharedKey), payload);
    const hash = state.hash;
    const [receiveKey, sendKey] = state.split();
    return { ephemeral, sealedPayload, keys: { sendKey, receiveKey }, hash };
  }

  /** For a handshake that is not carried on. */
  erase(): void {
    this.#state.erase();
  }
}
