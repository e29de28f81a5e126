/** Answers between the stream and its caller. */

import { Notice } from "./waiting.js";

/** Answers that wait to be taken, and what ends them. */
export class AnswerQueue<Answer> {
  readonly #answers: Answer[] = [];
  readonly #arrived = new Notice();
  readonly #taken: () => void;
  #end: { failure?: unknown } | undefined;

  /** `taken` is called after each answer that was taken. */
  constructor(taken: () => void) {
    this.#taken = taken;
  }

  /** Answers that wait. */
  get length(): number {
    return this.#answers.length;
  }

  push(answers: readonly Answer[]): void {
    this.#answers.push(...answers);
    this.#arrived.notify();
  }

  /** After the answers that are here comes the end, or the failure, thrown once. The first end stands. */
  finish(end: { failure?: unknown }): void {
    this.#end ??= end;
    this.#arrived.notify();
  }

  /** Forgets what waits, and ends. */
  clear(): void {
    this.#answers.length = 0;
    this.#end = {};
    this.#arrived.notify();
  }

  /** The next answer, undefined at the end. */
  async take(): Promise<Answer | undefined> {
    for (;;) {
      const answer = this.#answers.shift();
      if (answer !== undefined) {
        this.#taken();
        return answer;
      }
      if (this.#end !== undefined) {
        const end = this.#end;
        this.#end = {};
        if ("failure" in end) throw end.failure;
        return undefined;
      }
      await this.#arrived.wait();
    }
  }
}
