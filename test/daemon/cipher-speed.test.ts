import { expect, test } from "bun:test";
import { loadTransportCipher } from "../../src/crypto/load-transport-cipher.ts";
import { cipherSpeed } from "../../src/daemon/cipher-speed.ts";

test("the speed of the cipher that runs, measured once", () => {
  const { name } = loadTransportCipher();
  const speed = cipherSpeed(name)!;
  for (const microseconds of [speed.sealMicroseconds, speed.openMicroseconds]) {
    expect(microseconds).toBeGreaterThan(0);
    expect(microseconds * 100).toBeCloseTo(Math.round(microseconds * 100), 6);
  }
  expect(cipherSpeed(name)).toBe(speed);
});

test("each by itself", () => expect(cipherSpeed("noble")!.sealMicroseconds).toBeGreaterThan(1));
