/** How calls and streams end, and what that means. */

import { Code, CONNECTION_LOST, OcrMuxError, PROTOCOL_BROKEN } from "./errors.js";

const SEND_ELSEWHERE: readonly string[] = ["DRAINING", "SERVER_BUSY"];

/** Whether an item, or a stream, with this error may be taken by another server, or by this one later. */
export function isSentElsewhere(error: OcrMuxError): boolean {
  return SEND_ELSEWHERE.includes(error.reason);
}

/** A connection that gave no word for so long. */
export function silent(silenceMs: number): OcrMuxError {
  return new OcrMuxError(Code.UNAVAILABLE, CONNECTION_LOST, `no word from the server for ${silenceMs} ms`);
}

/** A call that ended with OK before its items were answered. */
export function leftUnanswered(items: number): OcrMuxError {
  const message = `the server ended the stream with ${items} items unanswered`;
  return new OcrMuxError(Code.UNAVAILABLE, CONNECTION_LOST, message);
}

/** A stream that reached its time limit. */
export function tookTooLong(timeoutMs: number | undefined): OcrMuxError {
  return new OcrMuxError(Code.DEADLINE_EXCEEDED, "", `the stream took longer than ${timeoutMs ?? 0} ms`);
}

/** A breach of protocol by the server. */
export function broken(message: string): OcrMuxError {
  return new OcrMuxError(Code.INTERNAL, PROTOCOL_BROKEN, message);
}

/**
 * Whether the same call may succeed later. INTERNAL without a reason comes from the transport; CANCELLED from a server that
 * stopped, as the client's own never get here.
 */
export function isPassing(failure: OcrMuxError): boolean {
  const { code, reason } = failure;
  if (code === Code.UNAVAILABLE || code === Code.CANCELLED || isSentElsewhere(failure)) return true;
  return code === Code.INTERNAL && reason === "";
}

/** Whether an error is only what became of a wait when the signal aborted. */
export function isAbort(error: unknown, signal: AbortSignal): boolean {
  return error === signal.reason || (error instanceof Error && error.name === "AbortError");
}
