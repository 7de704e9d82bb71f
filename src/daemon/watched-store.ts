/** The tailnet's files in the state directory, and whether they can be written: `status` says while they cannot. */

import { isMinitailError, type MinitailError } from "../base/errors.ts";
import type { HealthItem } from "./api.ts";
import type { StateDirectory } from "./state-directory.ts";
import type { TailnetStore } from "./tailnet-store.ts";

/** Written to try whether there is room, and removed at once. */
const TRIAL_FILE = "trial";

interface FailedWrite {
  readonly name: string;
  readonly lengthBytes: number;
  readonly error: MinitailError;
}

export class WatchedStore implements TailnetStore {
  readonly #state: Pick<StateDirectory, "read" | "write" | "remove">;
  /** The last one, until writing works again. */
  #failed: FailedWrite | undefined;

  constructor(state: Pick<StateDirectory, "read" | "write" | "remove">) {
    this.#state = state;
  }

  load(name: string): Uint8Array | undefined {
    return this.#state.read(name);
  }

  save(name: string, bytes: Uint8Array): void {
    try {
      this.#state.write(name, bytes);
    } catch (error) {
      if (isMinitailError(error, "state-unwritable")) this.#failed = { name, lengthBytes: bytes.length, error };
      throw error;
    }
    if (this.#failed?.name === name) this.#failed = undefined;
  }

  /** Tries, where a write failed, whether as much can be written again. */
  health(): HealthItem[] {
    if (this.#failed && this.#canWrite(this.#failed.lengthBytes)) this.#failed = undefined;
    if (!this.#failed) return [];
    const { code, message, hint = "make room on the disk" } = this.#failed.error;
    return [{ code, message, hint }];
  }

  #canWrite(lengthBytes: number): boolean {
    try {
      this.#state.write(TRIAL_FILE, new Uint8Array(lengthBytes));
      return true;
    } catch {
      return false;
    } finally {
      this.#state.remove(TRIAL_FILE);
    }
  }
}
