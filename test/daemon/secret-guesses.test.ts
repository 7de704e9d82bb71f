/**
 * What a guess at the shared secret costs who has all that the registry holds: one scrypt. Whatever depends on the
 * secret follows from scrypt's result alone, which the tests compute by themselves; and no other hash of the secret
 * is there to compare with.
 */

import { describe, expect, test } from "bun:test";
import { createHash, createHmac, hkdfSync, scryptSync } from "node:crypto";
import { concatBytes, parseBase64Url, utf8 } from "../../src/base/bytes.ts";
import { ed25519PublicKey } from "../../src/crypto/ed25519.ts";
import { removeNode } from "../../src/daemon/decide/remove-node.ts";
import { tailnetKeys } from "../../src/daemon/tailnet-keys.ts";
import { joinBySecret, tailnetIdOfSecret } from "../../src/daemon/tailnet-start.ts";
import { createTlsIdentity } from "../../src/registry/tls-identity.ts";
import { openEpochBox } from "../../src/trust/epoch.ts";
import { formatTailnetId } from "../../src/trust/identity.ts";
import { openSeal, type SealedAs } from "../../src/trust/seal.ts";
import { deriveSharedSecretKeys, type SharedSecretKeys, secretSealKey } from "../../src/trust/secret.ts";
import { findLeaks } from "./leaks.ts";
import { MemoryDatabase, MemoryRegistry } from "./memory-registry.ts";
import { contextOver, pool, recordContent } from "./tailnet-fixture.ts";

const SECRET = "correct horse battery staple";
const SALT = "minitail/1";
const COST = { N: 2 ** 17, r: 8, p: 1 };
const MEMORY_BYTES = 128 * COST.N * COST.r;

const keys = await deriveSharedSecretKeys(SECRET);

/** Two members, a record of each, and a rotation. */
async function tailnetOfSecret(): Promise<{ database: MemoryDatabase; registries: MemoryRegistry[] }> {
  const database = new MemoryDatabase();
  const registries = [0, 1, 2].map(() => new MemoryRegistry(database));
  const tailnets = [];
  for (const [i, registry] of registries.entries()) {
    const options = { pool: pool("10.0.0.0/8"), name: `machine-${i}`, secretBits: 48 };
    tailnets.push(await joinBySecret(contextOver(registry), keys, options));
  }
  const [one, two, three] = tailnets;
  for (const tailnet of tailnets) await tailnet.publishRecord(recordContent(tailnet.context));
  await one!.sync();
  await removeNode(one!, { node: three!.selfId, withMachines: false });
  await two!.sync();
  return { database, registries };
}

/** How many of the values open by what follows from these keys. */
function opened(database: MemoryDatabase, { networkKey, signer }: SharedSecretKeys, tailnetId: Uint8Array): number {
  const networkKeys = new Map([[networkKey.epoch, networkKey]]);
  const nodes = [...database.hash(":nodes").keys()];
  const as: SealedAs[] = [
    { kind: "statement", tailnetId },
    { kind: "network-key", tailnetId },
    ...nodes.map((nodeId) => ({ kind: "record", tailnetId, nodeId }) as const),
  ];
  const hashes = [...database.hashes]
    .filter(([key]) => key.includes(":epoch:"))
    .flatMap(([, hash]) => [...hash.values()]);
  const seals = [...database.list(":chain"), ...database.hash(":nodes").values()].map((text) => parseBase64Url(text)!);
  const boxes = hashes.map((text) => parseBase64Url(text)!);
  const isOpen = (bytes: Uint8Array) => as.some((each) => openSeal(bytes, each, networkKeys));
  const isOpenBox = (bytes: Uint8Array) =>
    [0, 1, 2].some((epoch) => openEpochBox(bytes, tailnetId, epoch, secretSealKey(signer)));
  return seals.filter(isOpen).length + boxes.filter(isOpenBox).length;
}

describe("a guess", () => {
  test("costs one scrypt of 128 MiB: all that depends on the secret follows from its result", async () => {
    expect(MEMORY_BYTES).toBe(128 * 1024 * 1024);
    const root = scryptSync(SECRET, SALT, 32, { ...COST, maxmem: 2 * MEMORY_BYTES });
    // Less memory does not do.
    expect(() => scryptSync(SECRET, SALT, 32, { ...COST, maxmem: MEMORY_BYTES - 1 })).toThrow();
    const derive = (use: string, lengthBytes: number) =>
      new Uint8Array(hkdfSync("sha256", root, new Uint8Array(0), `minitail/1 secret ${use}`, lengthBytes));
    expect(keys.signer.privateKey).toEqual(derive("signer", 32));
    expect(keys.networkKey.key).toEqual(derive("network key", 32));
    expect(keys.registryToken).toBe(Buffer.from(derive("registry token", 24)).toString("base64url"));
    expect(keys.tlsSeed).toEqual(derive("tls key", 32));
    expect(Object.keys(keys).sort()).toEqual(["networkKey", "registryToken", "signer", "tlsSeed"]);
    expect(keys.signer.publicKey).toEqual(ed25519PublicKey(derive("signer", 32)));
  });

  test("is compared with the names of the data or with what is sealed", async () => {
    const { database } = await tailnetOfSecret();
    const tailnetId = tailnetIdOfSecret(keys);
    const names = tailnetKeys(tailnetId);
    // The names of the data, which hold the tailnet id.
    const all = [database.lists, database.hashes, database.streams, database.values].flatMap((map) => [...map.keys()]);
    expect(all.sort()).toEqual([names.chain, names.nodes, names.log, names.epoch(0), names.epoch(1)].sort());
    // What is sealed with the first network key, and the box for who knows the secret in the next epoch.
    expect(opened(database, keys, tailnetId)).toBeGreaterThan(6);
  });

  test("that is wrong opens nothing, and leads to other names, another token and another TLS key", async () => {
    const { database } = await tailnetOfSecret();
    const right = tailnetIdOfSecret(keys);
    for (const guess of ["correct horse battery stapl", "Correct horse battery staple", ""]) {
      const wrong = await deriveSharedSecretKeys(guess);
      expect(opened(database, wrong, right)).toBe(0);
      expect(opened(database, wrong, tailnetIdOfSecret(wrong))).toBe(0);
      expect(database.dump()).not.toContain(formatTailnetId(tailnetIdOfSecret(wrong)));
      expect(wrong.registryToken).not.toBe(keys.registryToken);
      expect(createTlsIdentity(wrong.tlsSeed).pin).not.toEqual(createTlsIdentity(keys.tlsSeed).pin);
    }
  });

  test("finds no faster hash of the secret in what is stored or was ever sent", async () => {
    const { database, registries } = await tailnetOfSecret();
    const everything = utf8(database.dump() + JSON.stringify(registries.flatMap(({ sent }) => sent)));
    const secrets = new Map<string, Uint8Array | string>([["itself", SECRET]]);
    for (const hash of ["md5", "sha1", "sha256", "sha384", "sha512", "sha512-256", "blake2b512", "sha3-256"]) {
      for (const [form, text] of [
        ["", SECRET],
        ["salted ", `${SALT}${SECRET}`],
        ["salted behind ", `${SECRET}${SALT}`],
      ] as const) {
        const digest = new Uint8Array(createHash(hash).update(text).digest());
        // A beginning of it would do as well.
        secrets.set(`${form}${hash}`, digest.slice(0, 8));
      }
    }
    for (const hash of ["md5", "sha1", "sha256", "sha512"]) {
      const keyed = new Uint8Array(createHmac(hash, SALT).update(SECRET).digest());
      secrets.set(`keyed ${hash}`, keyed.slice(0, 8));
    }
    for (const [what, lengthBytes] of [
      ["signer", 32],
      ["network key", 32],
      ["registry token", 24],
      ["tls key", 32],
    ] as const) {
      const direct = hkdfSync("sha256", SECRET, new Uint8Array(0), `minitail/1 secret ${what}`, lengthBytes);
      secrets.set(`${what} without scrypt`, new Uint8Array(direct).slice(0, 8));
    }
    expect(findLeaks(everything, secrets)).toEqual([]);
    const planted = concatBytes(everything, utf8(createHash("sha1").update(SECRET).digest("base64url")));
    expect(findLeaks(planted, secrets)).toEqual(["sha1"]);
  });
});
