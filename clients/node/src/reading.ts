/** All answers of one item, together. */

import { errorOf, type OcrMuxError } from "./errors.js";
import type { Page } from "./gen/ocrmux/ocr/v1/document.js";
import type { PageAnswer } from "./gen/ocrmux/ocr/v1/recognition.js";

/** What became of one image or document: an answer a page, in order. */
export class Reading {
  constructor(readonly answers: readonly PageAnswer[]) {}

  /** The pages that were read. */
  get pages(): Page[] {
    return this.answers.flatMap(pagesOf);
  }

  /** The text of the pages that were read, pages parted by a form feed. */
  get text(): string {
    return this.pages.map((page) => page.text).join("\f");
  }

  /** Number and error of each page that could not be read. */
  get errors(): { page: number; error: OcrMuxError }[] {
    return this.answers.flatMap((answer) => {
      const error = errorOf(answer);
      return error === undefined ? [] : [{ page: answer.page, error }];
    });
  }
}

/** The page that an answer tells; none where it could not be read. */
export function pagesOf(answer: PageAnswer): Page[] {
  return answer.outcome?.$case === "document" ? answer.outcome.value.pages : [];
}
