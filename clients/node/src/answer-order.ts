/** Puts answers into the order of their items. */

/**
 * Holds answers back until every earlier item has its last one. Plain state, no waiting. What it holds is bounded by
 * whoever starts items: see `lag`.
 */
export class AnswerOrder<Answer extends { lastPage: boolean }> {
  readonly #ordered: boolean;
  #head = 0;
  #started = 0;
  readonly #held = new Map<number, Answer[]>();
  readonly #finished = new Set<number>();

  constructor(ordered: boolean) {
    this.#ordered = ordered;
  }

  /** Items started that are not yet given out to the end; 0 when the order does not matter. */
  get lag(): number {
    return this.#ordered ? this.#started - this.#head : 0;
  }

  /** The place of the next item. */
  start(): number {
    return this.#started++;
  }

  /** The answers that may be given out now that this one is here. */
  take(place: number, answer: Answer): Answer[] {
    if (!this.#ordered) return [answer];
    const held = this.#held.get(place);
    if (held === undefined) this.#held.set(place, [answer]);
    else held.push(answer);
    if (answer.lastPage) this.#finished.add(place);
    const ready = this.#released();
    while (this.#finished.delete(this.#head)) {
      this.#head += 1;
      ready.push(...this.#released());
    }
    return ready;
  }

  #released(): Answer[] {
    const answers = this.#held.get(this.#head) ?? [];
    this.#held.delete(this.#head);
    return answers;
  }
}
