package io.ocrmux.client;

import static java.util.stream.Collectors.joining;

import io.ocrmux.ocr.v1.Document;
import io.ocrmux.ocr.v1.Page;
import io.ocrmux.ocr.v1.PageAnswer;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * What became of one image or document.
 *
 * @param answers one a page, in order
 */
public record Reading(List<PageAnswer> answers) {

  /** The answers are copied. */
  public Reading {
    answers = List.copyOf(answers);
  }

  /** The pages that were read, in one document. */
  public Document document() {
    Document.Builder document = Document.newBuilder();
    answers.forEach(answer -> document.addAllPages(answer.getDocument().getPagesList()));
    return document.build();
  }

  /** The text of the pages that were read, pages parted by a form feed. */
  public String text() {
    return document().getPagesList().stream().map(Page::getText).collect(joining("\f"));
  }

  /** The error of each page that could not be read, by its number; 0 is the item as a whole. */
  public Map<Integer, OcrMuxException> errors() {
    Map<Integer, OcrMuxException> errors = new TreeMap<>();
    for (PageAnswer answer : answers) {
      OcrMuxException.of(answer).ifPresent(error -> errors.put(answer.getPage(), error));
    }
    return errors;
  }
}
