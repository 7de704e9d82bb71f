/**
 * The programs that the command line starts. Each runs until it is told to stop, answers an exit status, and throws
 * a `MinitailError` where it cannot run. None is loaded before it is wanted.
 */

import type { Log } from "../base/log.ts";
import type { ProgramIo, RegistryOptions, UpOptions, WireguardOptions } from "./options.ts";

/** The daemon. */
export async function startDaemon(options: UpOptions, io: ProgramIo): Promise<number> {
  const { runUp } = await import("./up.ts");
  return runUp(options, io);
}

/** Throws `not-permitted` where another user could put files into the state directory, as a link for a log. */
export async function requireOwnState(stateDirectory: string): Promise<void> {
  const { requireOwnFiles, requireOwnFolder } = await import("../host/ownership.ts");
  requireOwnFolder(stateDirectory);
  requireOwnFiles(stateDirectory);
}

/** A WireGuard interface alone. */
export async function startWireguard(options: WireguardOptions, io: ProgramIo): Promise<number> {
  const { runWireguard } = await import("./wireguard.ts");
  return runWireguard(options, io);
}

/** Serves a registry alone. */
export async function startRegistry(options: RegistryOptions, io: ProgramIo): Promise<number> {
  const { runRegistryServe } = await import("./registry.ts");
  return runRegistryServe(options, io);
}

/** Takes back what a killed daemon left. */
export async function forceDown(stateDirectory: string, log: Log): Promise<void> {
  const { takeBackChanges } = await import("./force-down.ts");
  takeBackChanges(stateDirectory, log);
}

/** Forgets, where no daemon runs, that this machine was a member. Throws `state-locked` where one does. */
export async function forgetState(stateDirectory: string): Promise<void> {
  const { StateDirectory } = await import("./state-directory.ts");
  const { forgetMembership } = await import("./forget-membership.ts");
  const state = StateDirectory.open(stateDirectory);
  forgetMembership(state);
  state.close();
}

/** The cipher that packets go through on this machine, and how long it takes for one of 1420 bytes. */
export async function measureCipher(): Promise<{
  readonly name: string;
  readonly sealMicroseconds: number;
  readonly openMicroseconds: number;
}> {
  const { loadTransportCipher } = await import("../crypto/load-transport-cipher.ts");
  const { measureTransportCipher } = await import("../crypto/measure-transport-cipher.ts");
  const cipher = loadTransportCipher();
  return { name: cipher.name, ...measureTransportCipher(cipher) };
}
