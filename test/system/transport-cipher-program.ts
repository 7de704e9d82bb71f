/** Loads and uses a transport cipher in the main thread and in three Workers, and prints what each got, a line each. */

import { loadTransportCipher } from "../../src/crypto/load-transport-cipher.ts";

const WORKERS = 3;
const PACKETS = 2000;

/** Seals and opens packets, and names the cipher. */
function useCipher(): string {
  const cipher = loadTransportCipher({ log: { ...console, warn: (message: string) => console.error(message) } });
  const buffer = new Uint8Array(new ArrayBuffer(2000));
  cipher.setKey(0, new Uint8Array(32).fill(7));
  for (let counter = 0; counter < PACKETS; counter++) {
    cipher.seal(0, counter, buffer, 16, 1420);
    if (!cipher.open(0, counter, buffer, 16, 1436)) return "does not open";
  }
  return cipher.name;
}

async function useCipherInWorker(): Promise<string> {
  const worker = new Worker(import.meta.url);
  const { promise, resolve } = Promise.withResolvers<string>();
  worker.onmessage = (event: MessageEvent<string>) => resolve(event.data);
  const name = await promise;
  worker.terminate();
  return name;
}

if (Bun.isMainThread) {
  console.log(useCipher());
  for (const name of await Promise.all(Array.from({ length: WORKERS }, useCipherInWorker))) console.log(name);
  console.log(useCipher());
} else {
  postMessage(useCipher());
}
