/** How long to wait before a server is asked again. */

import { UsageError } from "./errors.js";
import { sleep, type Sleep } from "./waiting.js";

/** Values of a Backoff; what is left out has its default. */
export interface BackoffOptions {
  /** Milliseconds to wait after the first failure in a row; 200. */
  firstMs?: number;
  /** By how much each further wait is longer; 2. */
  factor?: number;
  /** Milliseconds that no wait exceeds; 10 000. */
  longestMs?: number;
  /** Failures in a row, without an answer in between, that are borne: the next one is final; 8. */
  attempts?: number;
  /** Gives 0 to 1; for tests. */
  random?: () => number;
  /** Waits for so many milliseconds, or rejects when the signal aborts; for tests. */
  sleep?: Sleep;
}

/** Exponential backoff with jitter of one half, bounded in time and in attempts. */
export class Backoff {
  readonly attempts: number;
  readonly sleep: Sleep;
  readonly #firstMs: number;
  readonly #factor: number;
  readonly #longestMs: number;
  readonly #random: () => number;

  /** Throws UsageError for values below 0, and a factor below 1. */
  constructor(options: BackoffOptions = {}) {
    this.attempts = options.attempts ?? 8;
    this.sleep = options.sleep ?? sleep;
    this.#firstMs = options.firstMs ?? 200;
    this.#factor = options.factor ?? 2;
    this.#longestMs = options.longestMs ?? 10_000;
    this.#random = options.random ?? Math.random;
    if (!(this.attempts >= 0 && this.#firstMs >= 0 && this.#longestMs >= 0 && this.#factor >= 1)) {
      throw new UsageError("a backoff's attempts and times are 0 or more, its factor 1 or more");
    }
  }

  /**
   * Milliseconds to wait after the `failures`-th failure in a row, counted from 1. `atLeastMs` is the server's own wish;
   * more than the longest wait is cut to it.
   */
  waitMs(failures: number, atLeastMs = 0): number {
    const grownMs = this.#firstMs === 0 ? 0 : this.#firstMs * this.#factor ** (failures - 1);
    const ceilingMs = Math.min(this.#longestMs, grownMs);
    return Math.min(this.#longestMs, Math.max(ceilingMs * (0.5 + 0.5 * this.#random()), atLeastMs));
  }
}
