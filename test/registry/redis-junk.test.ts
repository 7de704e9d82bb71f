/** What is said of `redis://` where something answers that is no Redis, or one that takes nobody in. */

import { expect, test } from "bun:test";
import { RedisRegistry } from "../../src/registry/redis-registry.ts";
import { parseRegistryUrl, type RegistryUrl } from "../../src/registry/url.ts";
import { rejection } from "./until.ts";

/** What a server that answers `answer` to anything is called. */
async function failure(answer: string): Promise<{ readonly code: string; readonly message: string }> {
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket) {
        socket.write(answer);
      },
    },
  });
  const url = parseRegistryUrl(`redis://:password@127.0.0.1:${server.port}`) as RegistryUrl & { kind: "redis" };
  const registry = new RedisRegistry(url);
  try {
    const { code, message } = (await rejection(registry.get("key"))) as { code: string; message: string };
    return { code, message: message.replaceAll(String(server.port), "PORT") };
  } finally {
    registry.close();
    server.stop(true);
  }
}

const NO_REDIS = "what answers at redis://127.0.0.1:PORT does not speak as Redis does";

test.each([
  ["HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "registry-protocol", NO_REDIS],
  ["SSH-2.0-OpenSSH_9.2\r\n", "registry-protocol", NO_REDIS],
  ["\u0000\u0001\u0002junk\r\n", "registry-protocol", NO_REDIS],
  [":5\r\n", "registry-protocol", NO_REDIS],
  [
    "-WRONGPASS invalid username-password pair or user is disabled.\r\n",
    "wrong-token",
    "the registry refuses the token: WRONGPASS invalid username-password pair or user is disabled.",
  ],
  [
    "-NOAUTH Authentication required.\r\n",
    "wrong-token",
    "the registry refuses the token: NOAUTH Authentication required.",
  ],
  ["-ERR invalid password\r\n", "wrong-token", "the registry refuses the token: ERR invalid password"],
  ["-ERR unknown command 'HELLO'\r\n", "registry-refused", "the registry answered: ERR unknown command 'HELLO'"],
  [
    "-DENIED Redis is in protected mode\r\n",
    "registry-refused",
    "the registry answered: DENIED Redis is in protected mode",
  ],
  [
    "-LOADING Redis is loading the dataset in memory\r\n",
    "registry-unreachable",
    "cannot reach the registry redis://127.0.0.1:PORT: LOADING Redis is loading the dataset in memory",
  ],
])("%p: %s", async (answer, code, message) => {
  expect(await failure(answer)).toEqual({ code, message });
});
