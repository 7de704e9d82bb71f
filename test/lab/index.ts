/** The laboratory, as tests import it. lab.ts says how it is used. */

export type { Cable } from "./cable.ts";
export { cleanLabs } from "./clean.ts";
export { eventually } from "./eventually.ts";
export type { ConnectOptions, EndOptions, Host, RunOptions, RunResult } from "./host.ts";
export { type HostOptions, Lab, type RouterOptions } from "./lab.ts";
export type { Addressing, NetworkInterface } from "./network-interface.ts";
export type { Exit, HostProcess, SpawnOptions } from "./process.ts";
export type { Router } from "./router.ts";
export type { RouterKind } from "./router-kinds.ts";
export type { Switch } from "./switch-room.ts";
