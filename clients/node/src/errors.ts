/** The errors of the client, each with a stable code and reason for programs and a sentence for people. */

import { status as Code, type ServiceError } from "@grpc/grpc-js";
import { ErrorInfo, RetryInfo } from "./gen/google/rpc/error_details.js";
import { Status } from "./gen/google/rpc/status.js";
import type { PageAnswer } from "./gen/ocrmux/ocr/v1/recognition.js";

export { Code };

/** Domain of the ErrorInfo of every reason here. */
export const ERROR_DOMAIN = "ocrmux";
/** Reason of an item whose file cannot be read (NOT_FOUND). */
export const SOURCE_UNREADABLE = "SOURCE_UNREADABLE";
/** Reason of an item, or a stream, whose connection was lost too often, or was silent (UNAVAILABLE). */
export const CONNECTION_LOST = "CONNECTION_LOST";
/** Reason of a failure that the server caused by a breach of protocol. */
export const PROTOCOL_BROKEN = "PROTOCOL_BROKEN";

const STATUS_DETAILS_KEY = "grpc-status-details-bin";

/** What an error knows besides its code, reason and message. */
export interface ErrorFacts {
  metadata?: Readonly<Record<string, string>>;
  retryAfterMs?: number;
  details?: Status;
  cause?: unknown;
}

/** A call or an item failed. */
export class OcrMuxError extends Error {
  override readonly name = "OcrMuxError";
  /** The gRPC code. */
  readonly code: Code;
  /** The stable reason of the contract; empty where the failure came from below the services (no connection, a proxy). */
  readonly reason: string;
  /** Figures by name, as `limit` and `value`. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Milliseconds after which the server wants to be asked again; undefined where it did not say. */
  readonly retryAfterMs: number | undefined;
  /** The google.rpc.Status whole; undefined where the failure came from below the services. */
  readonly details: Status | undefined;

  constructor(code: Code, reason: string, message: string, facts: ErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = code;
    this.reason = reason;
    this.metadata = facts.metadata ?? {};
    this.retryAfterMs = facts.retryAfterMs;
    this.details = facts.details;
  }

  /** Name of the code, as `UNAVAILABLE`. */
  get codeName(): string {
    return Code[this.code];
  }

  /** Code, reason and message, for a person. */
  override toString(): string {
    return `${this.codeName}${this.reason ? ` ${this.reason}` : ""}: ${this.message}`;
  }

  /** The error that a google.rpc.Status tells; details that are unknown or damaged, and reasons of other domains, are left out. */
  static fromStatus(status: Status, cause?: unknown): OcrMuxError {
    const facts: ErrorFacts = { details: status, cause };
    let reason = "";
    for (const { typeUrl, value } of status.details) {
      const type = typeUrl.slice(typeUrl.lastIndexOf("/") + 1);
      if (type === "google.rpc.ErrorInfo") {
        const info = decoded(() => ErrorInfo.decode(value));
        if (info?.domain !== ERROR_DOMAIN) continue;
        reason = info.reason;
        facts.metadata = info.metadata;
      } else if (type === "google.rpc.RetryInfo") {
        const delay = decoded(() => RetryInfo.decode(value))?.retryDelay;
        if (delay !== undefined) facts.retryAfterMs = delay.seconds * 1000 + delay.nanos / 1e6;
      }
    }
    return new OcrMuxError(known(status.code), reason, status.message, facts);
  }

  /** The error that ended a call, with the details that the server sent in its trailers. */
  static fromCall(error: ServiceError): OcrMuxError {
    const metadata = error.metadata as ServiceError["metadata"] | undefined; // absent where a stream itself failed
    for (const value of metadata?.get(STATUS_DETAILS_KEY) ?? []) {
      const status = typeof value === "string" ? undefined : decoded(() => Status.decode(value));
      // A proxy's own trailer says nothing: the call's code and words still tell the failure.
      if (status?.code === error.code) return OcrMuxError.fromStatus(status, error);
    }
    return new OcrMuxError(known(error.code), "", error.details || error.message, { cause: error });
  }
}

/** The client was used in a way that no server needs to be asked about: two items of one id, a limit below 0. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** The error of an answer, or undefined where its page was read. */
export function errorOf(answer: PageAnswer): OcrMuxError | undefined {
  return answer.outcome?.$case === "error" ? OcrMuxError.fromStatus(answer.outcome.value) : undefined;
}

/** A Status with ErrorInfo for an item that the client itself has to answer. */
export function itemStatus(code: Code, reason: string, message: string, metadata: Record<string, string> = {}): Status {
  const info = ErrorInfo.encode({ reason, domain: ERROR_DOMAIN, metadata }).finish();
  return {
    code,
    message,
    details: [{ typeUrl: "type.googleapis.com/google.rpc.ErrorInfo", value: Buffer.from(info) }],
  };
}

function known(code: number): Code {
  return code in Code ? code : Code.UNKNOWN;
}

function decoded<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch {
    return undefined;
  }
}
