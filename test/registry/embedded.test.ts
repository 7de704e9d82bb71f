/** The embedded server and its judges: our client over pinned HTTPS, and the package's own client over HTTP. */

import { Redis } from "@upstash/redis";
import { silentLog } from "../../src/base/log.ts";
import { openRegistry } from "../../src/registry/open.ts";
import type { Registry } from "../../src/registry/registry.ts";
import { RestRegistry } from "../../src/registry/rest-registry.ts";
import { TokenAccess } from "../../src/registry/server/access.ts";
import { type Listener, parseListen, startListener } from "../../src/registry/server/listener.ts";
import { openRegistryService } from "../../src/registry/server/start.ts";
import { createTlsIdentity, type TlsIdentity } from "../../src/registry/tls-identity.ts";
import { formatPinnedUrl, parseRegistryUrl } from "../../src/registry/url.ts";
import { conformance, type RegistryPair } from "./conformance.ts";

const TOKEN = "token-of-tests";

/** The data stays in memory while the port goes away and comes back, each time with a new certificate. */
async function embeddedPair(seed: Uint8Array | undefined, open: (url: string) => Registry): Promise<RegistryPair> {
  const service = openRegistryService({ dataFile: ":memory:", access: new TokenAccess({ newest: TOKEN }) });
  const listen = (port: number, tls: TlsIdentity | undefined): Listener =>
    startListener({
      endpoint: parseListen(`127.0.0.1:${port}`),
      tls,
      routes: [service.route],
      longestRequestBytes: 10_000_000,
      log: silentLog,
    });
  const identity = () => seed && createTlsIdentity(seed);
  let tls = identity();
  let listener = listen(0, tls);
  const { port } = listener;
  const url = tls ? formatPinnedUrl("127.0.0.1", port, tls.pin) : `http://127.0.0.1:${port}`;
  const [first, second] = [open(url), open(url)];
  return {
    first,
    second,
    async restart(whileGone) {
      await listener.stop();
      await whileGone();
      tls = identity();
      listener = listen(port, tls);
    },
    async close() {
      first.close();
      second.close();
      await listener.stop();
      service.close();
    },
  };
}

conformance("embedded registry over pinned HTTPS", () =>
  embeddedPair(new Uint8Array(32).fill(5), (url) => openRegistry(url, { token: TOKEN })),
);

conformance("embedded registry judged by the client of @upstash/redis", () =>
  embeddedPair(undefined, (url) => {
    const parsed = parseRegistryUrl(url);
    if (parsed.kind !== "rest") throw new Error("not REST");
    const redis = new Redis({
      url: parsed.base,
      token: TOKEN,
      automaticDeserialization: false,
      enableTelemetry: false,
      retry: { retries: 2, backoff: () => 10 },
    });
    return new RestRegistry(parsed, { token: TOKEN, redis });
  }),
);
