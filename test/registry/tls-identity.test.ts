/** The key and certificate of a registry: derived from a seed, valid whatever the clock says. */

import { expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { formatPin, parsePin, pinOfPublicKey } from "../../src/registry/pin.ts";
import { createTlsIdentity, pinOfTlsSeed } from "../../src/registry/tls-identity.ts";

const seedOf = (byte: number) => new Uint8Array(32).fill(byte);

test("the same seed gives the same pin, with a certificate of its own each time", () => {
  const [one, two] = [createTlsIdentity(seedOf(7)), createTlsIdentity(seedOf(7))];
  expect(one.pin).toEqual(two.pin);
  expect(one.keyPem).toBe(two.keyPem);
  expect(one.certificatePem).not.toBe(two.certificatePem);
  expect(pinOfTlsSeed(seedOf(7))).toEqual(one.pin);
  expect(pinOfTlsSeed(seedOf(8))).not.toEqual(one.pin);
});

// Made with openssl(1): SHA-256 of the public key of scalar 0x0707...08.
test("the pin of a seed never changes: shared-secret networks depend on it", () => {
  expect(formatPin(pinOfTlsSeed(seedOf(7)))).toBe("79IJ6dp46sdHdOGt3-eoyNOqPBL2Yb7XuOn5542LyLg");
});

test("random keys differ", () => {
  expect(createTlsIdentity().pin).not.toEqual(createTlsIdentity().pin);
});

test("every seed makes a key, also zero and those beyond the group's order", () => {
  for (const byte of [0x00, 0xff]) expect(createTlsIdentity(seedOf(byte)).pin.length).toBe(32);
  expect(() => createTlsIdentity(new Uint8Array(31))).toThrow("32 bytes");
});

test("the certificate is what RFC 5280 asks for: signed by its key, from 1970 to 9999", () => {
  const { certificatePem, pin } = createTlsIdentity();
  const certificate = new X509Certificate(certificatePem);
  expect(certificate.verify(certificate.publicKey)).toBe(true);
  expect(certificate.validFrom).toBe("Jan  1 00:00:00 1970 GMT");
  expect(certificate.validTo).toBe("Dec 31 23:59:59 9999 GMT");
  expect(certificate.publicKey.asymmetricKeyDetails?.namedCurve).toBe("prime256v1");
  const publicKey = new Uint8Array(certificate.publicKey.export({ type: "spki", format: "der" }));
  expect(pinOfPublicKey(publicKey)).toEqual(pin);
});

test("pins as text", () => {
  const { pin } = createTlsIdentity();
  expect(parsePin(formatPin(pin))).toEqual(pin);
  for (const text of ["", "AAAA", `${formatPin(pin)}A`, formatPin(pin).replace(/.$/, "*"), `${formatPin(pin)}=`]) {
    expect(parsePin(text)).toBeUndefined();
  }
});
