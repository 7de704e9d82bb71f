/** The bare cable: what the machine could do if a tunnel cost nothing. */

import type { Rival } from "../rival.ts";

export const noTunnel: Rival = {
  name: "no-tunnel",
  async prepare() {
    return {
      version: "veth",
      startTunnel: async (hosts) => ({ rightAddress: hosts.right.address, pids: [], stop: async () => {} }),
    };
  },
};
