/** Every rival that the benchmark knows: one file each, one line here. */

import type { Rival } from "../rival.ts";
import type { Roles } from "../targets.ts";
import { boringtun } from "./boringtun.ts";
import { gotatun } from "./gotatun.ts";
import { minitail } from "./minitail.ts";
import { nebula } from "./nebula.ts";
import { noTunnel } from "./no-tunnel.ts";
import { minitailToWireguardGo, wireguardGoToMinitail } from "./stock-pairs.ts";
import { wireguardGo } from "./wireguard-go.ts";
import { wireguardGoOfDebian } from "./wireguard-go-debian.ts";

/** What the ratios are to. */
export const REFERENCE_NAME = wireguardGo.name;

export const DEFAULT_RIVALS: readonly Rival[] = [
  minitail,
  wireguardGo,
  minitailToWireguardGo,
  wireguardGoToMinitail,
  nebula,
  gotatun,
  boringtun,
];

export const ALL_RIVALS: readonly Rival[] = [...DEFAULT_RIVALS, wireguardGoOfDebian, noTunnel];

/** Who is who in `targets.ts`. */
export const ROLES: Roles = {
  own: minitail.name,
  reference: wireguardGo.name,
  toStock: minitailToWireguardGo.name,
  fromStock: wireguardGoToMinitail.name,
  others: [wireguardGo, nebula, gotatun, boringtun, wireguardGoOfDebian].map(({ name }) => name),
};
