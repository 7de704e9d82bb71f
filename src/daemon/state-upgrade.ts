/**
 * A state directory of an earlier format, brought to the present one, step by step. All other code knows the present
 * format alone. A step that was cut off by a kill runs again, and so finds some of its work done; a file that it
 * cannot read it leaves to who reads it, and says what is wrong with it.
 */

import { ByteReader, ByteWriter } from "../trust/codec.ts";
import { TAILNET_ID_LENGTH_BYTES } from "../trust/identity.ts";
import { LONGEST_TOKEN_BYTES } from "../trust/registry-place.ts";
import { NETWORK_KEY_LENGTH_BYTES } from "../trust/seal.ts";
import { withChecksum, withoutChecksum } from "./state-checksum.ts";

/** Its files as they lie on disk, whole or not at all. */
export interface UpgradableState {
  read(name: string): Uint8Array | undefined;
  write(name: string, contents: Uint8Array): void;
}

type Step = (state: UpgradableState) => void;

/** The first leads from format 1 to format 2. */
const STEPS: readonly Step[] = [tokenForEachEpoch, checksums];

/** The format that this version writes. */
export const FORMAT_VERSION = STEPS.length + 1;

/** `format` is at most the present one. Whoever calls this writes the present one down afterwards. */
export function upgradeState(state: UpgradableState, format: number): void {
  for (const step of STEPS.slice(format - 1)) step(state);
}

/**
 * Format 1 had one registry token for all epochs, and did not know how strong the shared secret is:
 *
 *     1 ‖ tailnet id (20) ‖ keys: epoch (4) ‖ key (32), each ‖ token ‖ 0 or 1 secret signers
 *     2 ‖ tailnet id (20) ‖ epochs: epoch (4) ‖ key (32) ‖ token, each ‖ 0 or 1 secret signers ‖ 0 or 1 strengths
 */
function tokenForEachEpoch(state: UpgradableState): void {
  const bytes = state.read("membership");
  if (bytes?.[0] !== 1) return;
  const reader = new ByteReader(bytes);
  reader.u8();
  const tailnetId = reader.fixed(TAILNET_ID_LENGTH_BYTES);
  const keys = reader.list(0xffff, (item) => ({ epoch: item.u32(), key: item.fixed(NETWORK_KEY_LENGTH_BYTES) }));
  const token = reader.text(LONGEST_TOKEN_BYTES);
  if (reader.failed) return;
  const secretSigner = bytes.slice(reader.offset);
  const writer = new ByteWriter()
    .u8(2)
    .fixed(tailnetId)
    .list(keys, (item, { epoch, key }) => item.u32(epoch).fixed(key).text(token))
    .fixed(secretSigner)
    .list([], () => {});
  state.write("membership", writer.finish());
}

/** All that format 2 had besides JSON, the log, and the registry's database. */
const FILES_OF_FORMAT_2 = [
  "identity",
  "node-key",
  "membership",
  "chain",
  "records",
  "seen",
  "branches",
  "held",
  "registry-keys",
  "registry-move",
];

/** Format 2 had no checksums. A file that ends with its own got it before this step was cut off. */
function checksums(state: UpgradableState): void {
  for (const name of FILES_OF_FORMAT_2) {
    const bytes = state.read(name);
    if (bytes && !withoutChecksum(name, bytes)) state.write(name, withChecksum(name, bytes));
  }
}
