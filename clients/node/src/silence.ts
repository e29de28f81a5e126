/** How long a server has said nothing. */

const SLICES = 8;

/**
 * Counts a silence in slices of the time that was listened. Who is kept from listening, by a caller that takes no answers or
 * an event loop that is blocked, counts one slice of that at most.
 */
export class Silence {
  readonly #longestMs: number;
  readonly #now: () => number;
  #borneMs = 0;
  #lookedMs: number;

  constructor(longestMs: number, now: () => number = () => performance.now()) {
    this.#longestMs = longestMs;
    this.#now = now;
    this.#lookedMs = now();
  }

  /** There was a word, or something new to wait for. */
  end(): void {
    this.#borneMs = 0;
    this.#lookedMs = this.#now();
  }

  /** Milliseconds after which to look again; undefined when the silence is too long. To be called when listening begins too. */
  look(): number | undefined {
    const sliceMs = this.#longestMs / SLICES;
    const nowMs = this.#now();
    this.#borneMs += Math.min(nowMs - this.#lookedMs, sliceMs);
    this.#lookedMs = nowMs;
    return this.#borneMs < this.#longestMs ? Math.min(sliceMs, this.#longestMs - this.#borneMs) : undefined;
  }
}
