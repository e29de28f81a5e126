/** How servers are reached: addresses, credentials, and what goes with every call. */

import { readFileSync } from "node:fs";
import { isIPv4 } from "node:net";
import { credentials, Metadata, type ChannelCredentials, type ChannelOptions } from "@grpc/grpc-js";
import { UsageError } from "./errors.js";

/** PEM: the path of a file, or its bytes. */
export type Pem = string | URL | Uint8Array;

/** TLS; with nothing in it the roots that Node.js trusts are believed. */
export interface TlsOptions {
  /** The certificates that are believed instead of Node's own. */
  ca?: Pem;
  /** A certificate of the client's own, for mutual TLS; together with `key`. */
  cert?: Pem;
  key?: Pem;
}

/** How servers are reached. */
export interface ConnectionOptions {
  /** Where left out, the connection is in the clear. */
  tls?: TlsOptions | boolean;
  /** Sent as `authorization: Bearer …` with every call. Refused without TLS, unless every target is loopback. */
  token?: string;
  /** Whose items these are, for the servers' fairness: sent as `ocrmux-tenant`. 1 to 64 letters, digits and any of `. _ -`. */
  tenant?: string;
}

const MESSAGE_MAX_BYTES = 64 << 20;
const TOKEN = /^[\x21-\x7e]+$/;
const HEADER = /^[\x20-\x7e]*$/;
const KEEPALIVE_MS = 60_000;
const KEEPALIVE_TIMEOUT_MS = 20_000;

// grpc-js has no client-side health checking: a healthCheckConfig here would mean nothing.
const SERVICE_CONFIG = JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] });

/** Throws UsageError for an address that gRPC can make nothing of. */
export function checkTarget(target: string): void {
  if (target === "" || /^https?:/i.test(target)) {
    throw new UsageError(`a target is HOST:PORT or a gRPC name as dns:///HOST:PORT, without http://, not '${target}'`);
  }
}

/** Options of the channel to a target. */
export function channelOptions(target: string): ChannelOptions {
  return {
    "grpc.service_config": SERVICE_CONFIG,
    "grpc.max_receive_message_length": MESSAGE_MAX_BYTES,
    "grpc.max_send_message_length": MESSAGE_MAX_BYTES,
    "grpc.keepalive_time_ms": KEEPALIVE_MS,
    "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
    "grpc.keepalive_permit_without_calls": 0,
    // A server that comes back is found within the backoff of the calls, not after one of the channel's own.
    "grpc.initial_reconnect_backoff_ms": 200,
    "grpc.max_reconnect_backoff_ms": 5_000,
    "grpc.enable_http_proxy": isLoopback(target) ? 0 : 1,
  };
}

/** The channel's credentials. Throws UsageError for half a pair, and for a token that would go in the clear. */
export function channelCredentials(options: ConnectionOptions, targets: readonly string[]): ChannelCredentials {
  const { tls = false, token } = options;
  if (tls === false) {
    if (token !== undefined && !targets.every(isLoopback)) {
      throw new UsageError("a token is not sent in the clear: it needs tls, or a target that is loopback");
    }
    return credentials.createInsecure();
  }
  const { ca, cert, key } = tls === true ? {} : tls;
  if ((cert === undefined) !== (key === undefined))
    throw new UsageError("a client's certificate and its key go together");
  return credentials.createSsl(pem(ca), pem(key), pem(cert));
}

/** What goes with every call. Throws UsageError for what no header can hold. */
export function callMetadata(options: ConnectionOptions): Metadata {
  const metadata = new Metadata();
  if (options.token !== undefined) {
    if (!TOKEN.test(options.token))
      throw new UsageError("a token is printable ASCII without blanks, one character or more");
    metadata.set("authorization", `Bearer ${options.token}`);
  }
  if (options.tenant) {
    if (!HEADER.test(options.tenant))
      throw new UsageError("a tenant is letters, digits and any of . _ -, 1 to 64 of them");
    metadata.set("ocrmux-tenant", options.tenant);
  }
  return metadata;
}

/** Whether calls to the target never leave this machine. */
export function isLoopback(target: string): boolean {
  if (/^unix(-abstract)?:/.test(target)) return true;
  const addresses = target.replace(/^dns:(\/\/[^/]*\/)?|^ipv[46]:/, "").split(",");
  return addresses.every((address) => {
    const host = /^(?:\[(?<bracketed>[^\]]*)\]|(?<plain>[^:]*))(?::\d+)?$/.exec(address)?.groups;
    const name = host?.["bracketed"] ?? host?.["plain"] ?? address;
    return name === "localhost" || name === "::1" || (isIPv4(name) && name.startsWith("127."));
  });
}

function pem(source: Pem | undefined): Buffer | null {
  if (source === undefined) return null;
  return source instanceof Uint8Array ? Buffer.from(source) : readFileSync(source);
}
