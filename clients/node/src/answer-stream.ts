/** What a caller iterates. */

import type { PageAnswer } from "./gen/ocrmux/ocr/v1/recognition.js";

/** Answers of a stream, to be iterated once. */
export interface AnswerStream extends AsyncIterableIterator<PageAnswer, undefined> {
  /** The next answer. Rejects with what ended the stream, after the answers that came before it. */
  next(): Promise<IteratorResult<PageAnswer, undefined>>;
  /** Leaves the stream, as the end of a `for await` does: cancels the call, and so the work that nobody else waits for. */
  return(): Promise<IteratorResult<PageAnswer, undefined>>;
  /** As `return`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}
