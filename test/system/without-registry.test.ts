/** A mesh whose registry is gone, by the built executable. Needs root. */

import { describe, test } from "bun:test";
import { Lab } from "../lab/index.ts";
import { hostsOnSwitch } from "./mesh-node.ts";

const LIMIT_MS = 60_000;

describe("with the registry gone", () => {
  test(
    "nodes keep their tunnels, and find each other after both restart, though one has another address",
    async () => {
      await using lab = await Lab.create("no-registry");
      const [registry, beta, gamma] = await hostsOnSwitch(lab, ["alpha", "beta", "gamma"]);
      await registry!.up("--pool", "10.11.12.0/24");
      const key = await registry!.createKey("--reusable");
      await beta!.up("--join", key);
      await gamma!.up("--join", key);
      await beta!.expectPing("10.11.12.3");
      await registry!.kill();
      await beta!.expectPing("10.11.12.3");

      await beta!.kill();
      await gamma!.kill();
      gamma!.host.cables[0]!.near.setAddresses({ address: "192.0.2.77/24" });
      await beta!.up();
      await gamma!.up();
      // Only gamma knows where the other is: it is for it to begin.
      await beta!.expectPing("10.11.12.3", 15_000);
    },
    LIMIT_MS,
  );
});
