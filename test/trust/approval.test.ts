import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  type ApprovalAnswer,
  approvalKeys,
  formatApprovalCode,
  generateApprovalCode,
  openApprovalAnswer,
  openApprovalRequest,
  parseApprovalCode,
  sealApprovalAnswer,
  sealApprovalRequest,
} from "../../src/trust/approval.ts";
import { signConsent, verifyConsent } from "../../src/trust/consent.ts";
import { machine, makeTailnet, seededRandom } from "./fixture.ts";

const random = seededRandom("approval");
const code = generateApprovalCode(random);
const keys = approvalKeys(code);
const otherKeys = approvalKeys(generateApprovalCode(random));
const [asking, other] = [machine("asking"), machine("other")];
const { chain } = makeTailnet();
const answer: ApprovalAnswer = {
  tailnetId: chain.tailnetId,
  head: chain.head,
  epoch: { epoch: 4, networkKeyHash: new Uint8Array(16).fill(4) },
  registries: [{ urls: ["https://192.0.2.7:7411"], token: "token", pin: new Uint8Array(32).fill(1) }],
};

describe("approval code", () => {
  test("is 16 characters that come back however they are typed", () => {
    const text = formatApprovalCode(code);
    expect(text).toMatch(/^[a-z2-7]{4}(-[a-z2-7]{4}){3}$/);
    for (const typed of [text, text.toUpperCase(), text.replaceAll("-", ""), ` ${text.replaceAll("-", " ")}\n`]) {
      expect(parseApprovalCode(typed)).toEqual(code);
    }
    expect(parseApprovalCode("0188-aaaa-aaaa-aaaa")).toEqual(parseApprovalCode("olbb-aaaa-aaaa-aaaa")!);
  });

  test.each(["", "abcd", "abcd-efgh-ijkl-mno", "abcd-efgh-ijkl-mnopq", "abcd-efgh-ijkl-mno9", "abcd_efgh_ijkl_mnop"])(
    "%p is none",
    (text) => expect(parseApprovalCode(text)).toBeUndefined(),
  );

  test("leads to a place and keys of its own, none of which tells another", () => {
    const texts = [keys, otherKeys].flatMap((some) => [some.locator, some.requestKey.toHex(), some.answerKey.toHex()]);
    expect(new Set(texts).size).toBe(6);
    expect(keys.locator).toMatch(/^[A-Za-z0-9_-]{22}$/);
    expect(approvalKeys(code)).toEqual(keys);
  });
});

describe("approval", () => {
  const request = sealApprovalRequest(asking, "laptop", keys, random);
  const opened = openApprovalRequest(request, keys)!;
  const sealed = sealApprovalAnswer(answer, opened, keys, random);

  test("request and answer come over", () => {
    expect(opened).toMatchObject({
      machineKey: asking.machineKey.publicKey,
      sealKey: asking.sealKey.publicKey,
      name: "laptop",
    });
    expect(verifyConsent(opened)).toBe(true);
    expect(openApprovalAnswer(sealed, asking, keys)).toEqual(answer);
  });

  test("another code opens neither", () => {
    expect(openApprovalRequest(request, otherKeys)).toBeUndefined();
    expect(openApprovalAnswer(sealed, asking, otherKeys)).toBeUndefined();
  });

  test("who overheard the code cannot read the answer", () => {
    expect(openApprovalAnswer(sealed, other, keys)).toBeUndefined();
    expect(openApprovalAnswer(sealed, { ...asking, sealKey: other.sealKey }, keys)).toBeUndefined();
  });

  test("an answer to another machine's request is none for this one", () => {
    const forOther = sealApprovalAnswer(answer, { ...opened, machineKey: other.machineKey.publicKey }, keys, random);
    expect(openApprovalAnswer(forOther, asking, keys)).toBeUndefined();
  });

  test("a request passes for no answer, nor an answer for a request", () => {
    expect(openApprovalAnswer(request, asking, keys)).toBeUndefined();
    expect(openApprovalRequest(sealed, keys)).toBeUndefined();
  });

  test("nobody asks under another's machine key, or with another's seal key", () => {
    const stolen = { ...asking, machineKey: { ...other.machineKey, publicKey: asking.machineKey.publicKey } };
    expect(openApprovalRequest(sealApprovalRequest(stolen, "laptop", keys, random), keys)).toBeUndefined();
    const consent = signConsent(asking.machineKey, asking.sealKey.publicKey);
    expect(verifyConsent({ ...consent, sealKey: other.sealKey.publicKey })).toBe(false);
    expect(verifyConsent({ ...consent, machineKey: other.machineKey.publicKey })).toBe(false);
  });

  test("a refused name is not asked for", () => {
    expect(openApprovalRequest(sealApprovalRequest(asking, "wpad", keys, random), keys)).toBeUndefined();
    expect(openApprovalRequest(sealApprovalRequest(asking, "a\u0007b", keys, random), keys)).toBeUndefined();
  });

  test("not a byte of either can change, and nothing be cut", () => {
    for (let i = 0; i < request.length; i += 3) {
      const changed = request.slice();
      changed[i]! ^= 1;
      expect(openApprovalRequest(changed, keys)).toBeUndefined();
      expect(openApprovalRequest(request.slice(0, i), keys)).toBeUndefined();
    }
    for (let i = 0; i < sealed.length; i += 3) {
      const changed = sealed.slice();
      changed[i]! ^= 1;
      // The top bit of an X25519 key is no part of it (RFC 7748 section 5).
      if (i !== 31) expect(openApprovalAnswer(changed, asking, keys)).toBeUndefined();
      expect(openApprovalAnswer(sealed.slice(0, i), asking, keys)).toBeUndefined();
    }
  });

  test("random bytes are nothing", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 700 }), (bytes) => {
        expect(openApprovalRequest(bytes, keys)).toBeUndefined();
        expect(openApprovalAnswer(bytes, asking, keys)).toBeUndefined();
      }),
      { seed: 31, numRuns: 300 },
    );
  });

  test("requests of long and short names have one length", () => {
    const long = sealApprovalRequest(asking, "a".repeat(63), keys, random);
    expect(long.length).toBe(request.length);
  });
});
