/**
 * The key and the certificate of a registry that serves TLS with a key of its own.
 *
 * The certificate is only the envelope that TLS wants around the key: clients compare the pin. So it is valid from
 * 1970 to 9999 (a machine whose clock is off must still reach the registry), for one fixed name. The key may be
 * derived from 32 bytes of a shared secret; then who knows those knows the pin.
 */

import { createECDH, createPrivateKey, type KeyObject, randomBytes, sign } from "node:crypto";
import { formatBase64Url, formatHex, parseHex, utf8 } from "../base/bytes.ts";
import { MinitailError } from "../base/errors.ts";
import {
  encodeBitString,
  encodeElement,
  encodeExplicit,
  encodeGeneralizedTime,
  encodeInteger,
  encodeObjectIdentifier,
  encodeOctetString,
  encodeSequence,
  encodeSet,
  encodeUtcTime,
  encodeUtf8String,
} from "./der.ts";
import { type Pin, pinOfPublicKey } from "./pin.ts";

/**
 * The one DNS name of every certificate that we make, whatever address it is served at. Clients ask for it (SNI) and
 * check it, because the pin is what counts and Bun keeps no connection open for names that it cannot check itself.
 */
export const CERTIFICATE_NAME = "registry.minitail.internal";

export interface TlsIdentity {
  /** PKCS #8, PEM. Secret. */
  readonly keyPem: string;
  readonly certificatePem: string;
  readonly pin: Pin;
}

const SCALAR_LENGTH_BYTES = 32;

/** The order of P-256's group (SEC 2 version 2.0, section 2.4.2). */
const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** Unused room of a serial number: 20 octets at most, positive (RFC 5280 section 4.1.2.2). */
const SERIAL_LENGTH_BYTES = 16;

const ECDSA_WITH_SHA256 = encodeSequence(encodeObjectIdentifier("1.2.840.10045.4.3.2"));
const P256_PUBLIC_KEY = encodeSequence(
  encodeObjectIdentifier("1.2.840.10045.2.1"),
  encodeObjectIdentifier("1.2.840.10045.3.1.7"),
);
const SUBJECT_ALTERNATIVE_NAME = encodeObjectIdentifier("2.5.29.17");
const COMMON_NAME = encodeObjectIdentifier("2.5.4.3");
const VERSION_3 = new Uint8Array([2]);

/**
 * A P-256 key with its self-signed certificate: a random key, or the one of `seed` (32 bytes). The same seed
 * gives the same key and pin; the certificate differs each time, because ECDSA signatures are random.
 */
export function createTlsIdentity(seed: Uint8Array = randomBytes(SCALAR_LENGTH_BYTES)): TlsIdentity {
  const pair = keyPairOfSeed(seed);
  return {
    keyPem: pair.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    certificatePem: formatPem(encodeCertificate(pair)),
    pin: pinOfPublicKey(pair.subjectPublicKeyInfo),
  };
}

/** The pin of `createTlsIdentity(seed)`, without making a certificate. */
export function pinOfTlsSeed(seed: Uint8Array): Pin {
  return pinOfPublicKey(keyPairOfSeed(seed).subjectPublicKeyInfo);
}

interface KeyPair {
  readonly privateKey: KeyObject;
  readonly subjectPublicKeyInfo: Uint8Array;
}

/** The scalar is `seed mod (order - 1) + 1`: the bias of one reduction is 2^-32, and no seed is refused. */
function keyPairOfSeed(seed: Uint8Array): KeyPair {
  if (seed.length !== SCALAR_LENGTH_BYTES) throw new MinitailError("internal", "a TLS seed has 32 bytes");
  const scalarHex = ((BigInt(`0x${formatHex(seed)}`) % (P256_ORDER - 1n)) + 1n).toString(16).padStart(64, "0");
  const scalar = parseHex(scalarHex)!;
  const ecdh = createECDH("prime256v1");
  ecdh.setPrivateKey(scalar);
  const point = new Uint8Array(ecdh.getPublicKey());
  const privateKey = createPrivateKey({
    format: "jwk",
    key: {
      kty: "EC",
      crv: "P-256",
      d: formatBase64Url(scalar),
      x: formatBase64Url(point.slice(1, 33)),
      y: formatBase64Url(point.slice(33)),
    },
  });
  return { privateKey, subjectPublicKeyInfo: encodeSequence(P256_PUBLIC_KEY, encodeBitString(point)) };
}

/** RFC 5280 section 4.1. */
function encodeCertificate({ privateKey, subjectPublicKeyInfo }: KeyPair): Uint8Array {
  const name = encodeSequence(encodeSet(encodeSequence(COMMON_NAME, encodeUtf8String("minitail registry"))));
  const serial = new Uint8Array(randomBytes(SERIAL_LENGTH_BYTES));
  serial[0] = 1;
  const toBeSigned = encodeSequence(
    encodeExplicit(0, encodeInteger(VERSION_3)),
    encodeInteger(serial),
    ECDSA_WITH_SHA256,
    name,
    encodeSequence(encodeUtcTime("700101000000Z"), encodeGeneralizedTime("99991231235959Z")),
    name,
    subjectPublicKeyInfo,
    encodeExplicit(3, encodeSequence(encodeAlternativeName(CERTIFICATE_NAME))),
  );
  const signature = new Uint8Array(sign("sha256", toBeSigned, privateKey));
  return encodeSequence(toBeSigned, ECDSA_WITH_SHA256, encodeBitString(signature));
}

/** RFC 5280 section 4.2.1.6, with one dNSName. */
function encodeAlternativeName(dnsName: string): Uint8Array {
  const names = encodeSequence(encodeElement(0x82, utf8(dnsName)));
  return encodeSequence(SUBJECT_ALTERNATIVE_NAME, encodeOctetString(names));
}

/** RFC 7468. */
function formatPem(certificate: Uint8Array): string {
  const lines = certificate.toBase64().match(/.{1,64}/g)!;
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}
