/** Calls of one request and one response, tried again where the failure passes. */

import type { CallOptions, Client, Metadata, MethodDefinition } from "@grpc/grpc-js";
import type { Backoff } from "./backoff.js";
import { isPassing } from "./endings.js";
import { Code, OcrMuxError } from "./errors.js";
import { after, onAbort } from "./waiting.js";

/** What bounds a call. */
export interface CallLimits {
  /** Milliseconds for all of it, every try and every wait between. */
  timeoutMs: number;
  /** End it with their reason. */
  signals: readonly (AbortSignal | undefined)[];
}

/** Calls over one channel. */
export class UnaryCalls {
  constructor(
    private readonly client: Client,
    private readonly metadata: Metadata,
    private readonly backoff: Backoff,
  ) {}

  /**
   * The response. What is a lost connection to a stream is tried again as the backoff says. Throws OcrMuxError, DEADLINE_EXCEEDED
   * after the time, and a signal's reason.
   */
  async call<Request, Response>(
    method: MethodDefinition<Request, Response>,
    request: Request,
    limits: CallLimits,
  ): Promise<Response> {
    const stop = new AbortController();
    const endMs = performance.now() + limits.timeoutMs;
    let last: OcrMuxError | undefined;
    const unhook = limits.signals.map((signal) =>
      onAbort(signal, () => {
        stop.abort(signal?.reason);
      }),
    );
    unhook.push(
      after(limits.timeoutMs, () => {
        stop.abort(noAnswerWithin(limits.timeoutMs, last));
      }),
    );
    try {
      for (let failures = 1; ; failures += 1) {
        try {
          return await this.#once(method, request, endMs, stop.signal);
        } catch (error) {
          stop.signal.throwIfAborted();
          if (!(error instanceof OcrMuxError)) throw error;
          if (error.code === Code.DEADLINE_EXCEEDED && error.details === undefined) {
            throw noAnswerWithin(limits.timeoutMs, last ?? error);
          }
          if (!isPassing(error) || failures > this.backoff.attempts) throw error;
          last = error;
        }
        await this.backoff.sleep(this.backoff.waitMs(failures, last.retryAfterMs), stop.signal);
      }
    } finally {
      for (const off of unhook) off();
    }
  }

  #once<Request, Response>(
    method: MethodDefinition<Request, Response>,
    request: Request,
    endMs: number,
    signal: AbortSignal,
  ): Promise<Response> {
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const call = this.client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        this.metadata,
        deadline(endMs),
        (error, response) => {
          off();
          if (error) reject(OcrMuxError.fromCall(error));
          else resolve(response as Response);
        },
      );
      const off = onAbort(signal, () => {
        call.cancel();
      });
    });
  }
}

/** The error of a call that took too long. */
export function noAnswerWithin(timeoutMs: number, cause?: unknown): OcrMuxError {
  return new OcrMuxError(Code.DEADLINE_EXCEEDED, "", `no answer within ${timeoutMs} ms`, { cause });
}

/** The time limit as the server is told it, so that it begins nothing for nobody. */
function deadline(endMs: number): CallOptions {
  const restMs = endMs - performance.now();
  return Number.isFinite(restMs) ? { deadline: Date.now() + restMs } : {};
}
