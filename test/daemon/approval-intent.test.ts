import { describe, expect, test } from "bun:test";
import { approvedAddresses } from "../../src/daemon/approval-intent.ts";
import { formatPin } from "../../src/registry/pin.ts";
import type { ApprovalAnswer } from "../../src/trust/approval.ts";
import type { RegistryPlace } from "../../src/trust/registry-place.ts";

const PIN = new Uint8Array(32).fill(1);
const OTHER_PIN = new Uint8Array(32).fill(2);

function addressesFor(registryUrl: string, token: string | undefined, registries: readonly RegistryPlace[]) {
  const head = { number: 3, hash: new Uint8Array(32) };
  const epoch = { epoch: 0, networkKeyHash: new Uint8Array(16) };
  const answer: ApprovalAnswer = { tailnetId: new Uint8Array(20), head, epoch, registries };
  return approvedAddresses({ kind: "ask", registryUrl, ...(token === undefined ? {} : { token }) }, answer);
}

describe("where a machine that was let in finds the registry", () => {
  const said = { urls: ["https://192.0.2.1:7411"], token: "t", pin: PIN };

  test("the URL that it was given reaches the same registry, which its pin tells: with the token of the answer", () => {
    const url = `https://host.example:7411/#pin=${formatPin(PIN)}`;
    expect(addressesFor(url, undefined, [said])).toEqual([{ urls: [url, ...said.urls], token: "t", pin: PIN }]);
  });

  test("a URL of another key is of no use without a token, and with one comes first", () => {
    const url = `https://host.example:7411/#pin=${formatPin(OTHER_PIN)}`;
    expect(addressesFor(url, undefined, [said])).toEqual([said]);
    expect(addressesFor(url, "own", [said])).toEqual([{ urls: [url], token: "own", pin: OTHER_PIN }, said]);
  });

  test("a database that both name alike is named once, by two names twice", () => {
    const redis = { urls: ["redis://:word@192.0.2.9"], token: "", pin: undefined };
    const same = addressesFor(redis.urls[0]!, undefined, [redis]);
    expect(same).toEqual([{ urls: redis.urls, token: undefined, pin: undefined }]);
    const other = addressesFor("redis://:word@db.example", undefined, [redis]);
    expect(other.map(({ urls }) => urls[0])).toEqual(["redis://:word@db.example", redis.urls[0]]);
  });
});
