package io.ocrmux.examples;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import io.ocrmux.client.OcrMuxException;
import io.ocrmux.ocr.v1.CacheOutcome;
import io.ocrmux.ocr.v1.Page;
import io.ocrmux.ocr.v1.PageAnswer;
import java.util.Optional;

/** One page as a line of JSON, in the names of {@code ocrmux recognize}; what is not known is null. */
final class PageRecord {
  private static final Gson GSON = new GsonBuilder().serializeNulls().disableHtmlEscaping().create();

  private PageRecord() {}

  static String line(String source, PageAnswer answer) {
    Optional<OcrMuxException> error = OcrMuxException.of(answer);
    Optional<Page> page = answer.getDocument().getPagesList().stream().findFirst();
    CacheOutcome cache = answer.getProvenance().getCache();
    boolean isCacheKnown = cache != CacheOutcome.CACHE_OUTCOME_UNSPECIFIED;
    JsonObject line = new JsonObject();
    line.addProperty("source", source);
    line.addProperty("page", answer.getPage());
    line.addProperty("status", error.map(told -> told.code().name()).orElse("OK"));
    line.addProperty("reason", error.map(OcrMuxException::reason).orElse(null));
    line.addProperty("text", page.map(Page::getText).orElse(null));
    line.addProperty("confidence", page.filter(Page::hasConfidence).map(Page::getConfidence).orElse(null));
    line.addProperty("provider", emptyAsNull(answer.getProvenance().getProvider()));
    line.addProperty("cache", isCacheKnown ? cache.name().substring("CACHE_OUTCOME_".length()) : null);
    line.addProperty("attempts", answer.getProvenance().getAttempts());
    return GSON.toJson(line);
  }

  private static String emptyAsNull(String text) {
    return text.isEmpty() ? null : text;
  }
}
