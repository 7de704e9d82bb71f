/** minitail with a peer that is not: what each way of a mixed network carries, from the first named to the second. */

import { wireGuardRival } from "../wireguard-rival.ts";
import { findMinitail } from "./minitail.ts";
import { findWireguardGo } from "./wireguard-go.ts";

export const minitailToWireguardGo = wireGuardRival("minitail-to-wireguard-go", findMinitail, findWireguardGo);

export const wireguardGoToMinitail = wireGuardRival("wireguard-go-to-minitail", findWireguardGo, findMinitail);
