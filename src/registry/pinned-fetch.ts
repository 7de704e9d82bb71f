/**
 * `fetch` to a registry whose key is pinned.
 *
 * Two steps, because Bun's `fetch` has no hook to judge a certificate that it does not trust already: a bare TLS
 * connection learns the certificate and compares the pin, then requests go out that trust exactly that
 * certificate, by the one name that all of ours have. (A `checkServerIdentity` that takes any name would do, but
 * Bun then makes a new connection for each request.) Nothing secret is sent before. When the registry comes back with
 * a new certificate of the same key, it is learnt again.
 */

import { X509Certificate } from "node:crypto";
import { connect } from "node:tls";
import { equalBytes } from "../base/bytes.ts";
import { MinitailError } from "../base/errors.ts";
import { type Pin, pinOfPublicKey } from "./pin.ts";
import {
  errorCodeOf,
  foreignCertificate,
  isCertificateError,
  notRegistry,
  untrustedCertificate,
} from "./registry-errors.ts";
import { CERTIFICATE_NAME } from "./tls-identity.ts";

export type Fetch = (url: string, init: BunFetchRequestInit) => Promise<Response>;

const HANDSHAKE_TIMEOUT_MS = 10_000;

/** `fetch` with the ordinary check against the certificate authorities; a failed one is `wrong-pin`. */
export const ordinaryFetch: Fetch = async (url, init) => {
  try {
    return await fetch(url, init);
  } catch (error) {
    if (!isCertificateError(error)) throw error;
    throw untrustedCertificate(error);
  }
};

/**
 * `fetch` for the origin of `base` alone, which throws `wrong-pin` unless the server holds the pinned key. `closing`
 * ends a handshake under way.
 */
export function pinnedFetch(base: string, pin: Pin, closing: AbortSignal): Fetch {
  const { hostname, port } = new URL(base);
  const host = hostname.replace(/^\[|\]$/g, "");
  let certificate: Promise<X509Certificate> | undefined;

  async function trusted(): Promise<X509Certificate> {
    certificate ??= learnCertificate(host, Number(port || 443), pin, closing);
    try {
      return await certificate;
    } catch (error) {
      certificate = undefined;
      throw error;
    }
  }

  async function attempt(url: string, init: BunFetchRequestInit): Promise<Response> {
    const known = await unlessAborted(trusted(), init.signal);
    // The certificate was learnt without a proxy, and the registry is a machine that only its network may know.
    return fetch(url, { ...init, proxy: false, tls: { ca: known.toString(), serverName: CERTIFICATE_NAME } });
  }

  return async (url, init) => {
    try {
      return await attempt(url, init);
    } catch (error) {
      if (!isCertificateError(error)) throw error;
      certificate = undefined;
      return attempt(url, init).catch((again: unknown) => {
        throw isCertificateError(again) ? foreignCertificate(again) : again;
      });
    }
  };
}

/** The certificate that the server at `host`:`port` proves to own, if its key is the pinned one. */
async function learnCertificate(host: string, port: number, pin: Pin, closing: AbortSignal): Promise<X509Certificate> {
  const limit = AbortSignal.any([closing, AbortSignal.timeout(HANDSHAKE_TIMEOUT_MS)]);
  const raw = await new Promise<Uint8Array>((resolve, reject) => {
    const servername = CERTIFICATE_NAME;
    const socket = connect({ host, port, servername, rejectUnauthorized: false });
    const fail = (error: unknown) => {
      socket.destroy();
      reject(error);
    };
    socket.once("secureConnect", () => {
      const presented = socket.getPeerCertificate().raw;
      if (!presented) return fail(notRegistry("the registry shows no certificate"));
      socket.destroy();
      resolve(presented);
    });
    limit.addEventListener("abort", () => fail(limit.reason));
    socket.once("error", (error) => void connectFailure(host, port, error, limit).then(fail));
    socket.once("close", (hadError) => {
      if (!hadError) fail(Object.assign(new Error("closed during the handshake"), { code: "ECONNRESET" }));
    });
  });
  const certificate = new X509Certificate(raw);
  const publicKey = new Uint8Array(certificate.publicKey.export({ type: "spki", format: "der" }));
  if (!equalBytes(pinOfPublicKey(publicKey), pin)) throw wrongPin();
  return certificate;
}

/** Bun's sockets call every failure to connect a refused connection; its `fetch` tells them apart. It is given nothing. */
async function connectFailure(host: string, port: number, error: unknown, signal: AbortSignal): Promise<unknown> {
  if (errorCodeOf(error) !== "ECONNREFUSED") return error;
  const origin = `https://${host.includes(":") ? `[${host}]` : host}:${port}/`;
  try {
    await fetch(origin, { method: "HEAD", proxy: false, redirect: "manual", keepalive: false, signal });
    return error;
  } catch (known) {
    return UNREACHABLE.includes(errorCodeOf(known) ?? "") ? known : error;
  }
}

const UNREACHABLE = ["EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT"];

/** What `promise` settles to, or the reason of `signal` if that is aborted before. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | null | undefined): Promise<T> {
  if (!signal) return promise;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort);
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

function wrongPin(): MinitailError {
  return new MinitailError("wrong-pin", "the registry has another key than the pinned one", {
    hint: "ask for its present URL or a new join key; somebody may be posing as the registry",
  });
}
