package io.ocrmux.conformance;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import io.ocrmux.client.OcrMuxException;
import io.ocrmux.client.Reconnect;
import io.ocrmux.gateway.v1.ListProvidersResponse;
import io.ocrmux.ocr.v1.CacheOutcome;
import io.ocrmux.ocr.v1.Field;
import io.ocrmux.ocr.v1.Page;
import io.ocrmux.ocr.v1.PageAnswer;
import java.io.PrintStream;
import java.time.Duration;
import java.util.Optional;
import java.util.stream.Collectors;

/** Writes events, one JSON object a line, each at once. */
final class Events {
  private final Gson gson = new GsonBuilder().serializeNulls().disableHtmlEscaping().create();
  private final PrintStream out;

  Events(PrintStream out) {
    this.out = out;
  }

  void drawn(int count) {
    JsonObject event = event("drawn");
    event.addProperty("count", count);
    write(event);
  }

  void holding() {
    write(event("holding"));
  }

  void reconnect(Reconnect told) {
    JsonObject event = event("reconnect");
    event.addProperty("failures", told.failures());
    event.addProperty("wait_s", told.pause().toNanos() / 1e9);
    event.addProperty("code", told.cause().code().name());
    event.addProperty("reason", told.cause().reason());
    write(event);
  }

  void providers(ListProvidersResponse listed) {
    JsonArray names = new JsonArray();
    listed.getProvidersList().forEach(provider -> names.add(provider.getName()));
    JsonObject event = event("providers");
    event.add("names", names);
    write(event);
  }

  void answer(PageAnswer answer) {
    Optional<OcrMuxException> error = OcrMuxException.of(answer);
    JsonObject event = event("answer");
    event.addProperty("id", answer.getRequestId());
    event.addProperty("page", answer.getPage());
    event.addProperty("last_page", answer.getLastPage());
    event.addProperty("page_count", answer.getPageCount());
    event.addProperty("code", error.map(told -> told.code().name()).orElse("OK"));
    event.addProperty("reason", error.map(OcrMuxException::reason).orElse(""));
    event.addProperty(
        "text",
        answer.getDocument().getPagesList().stream().map(Page::getText).collect(Collectors.joining("\f")));
    event.add("fields", fields(answer));
    event.addProperty("provider", answer.getProvenance().getProvider());
    CacheOutcome cache = answer.getProvenance().getCache();
    event.addProperty(
        "cache",
        cache == CacheOutcome.CACHE_OUTCOME_UNSPECIFIED ? "" : cache.name().substring("CACHE_OUTCOME_".length()));
    event.addProperty("attempts", answer.getProvenance().getAttempts());
    addRetryAfter(event, error.flatMap(OcrMuxException::retryAfter));
    JsonObject metadata = new JsonObject();
    error.ifPresent(told -> told.metadata().forEach(metadata::addProperty));
    event.add("metadata", metadata);
    write(event);
  }

  void end(String code, String reason, String message, Optional<Duration> retryAfter, int drawn, long heapPeakBytes) {
    JsonObject event = event("end");
    event.addProperty("code", code);
    event.addProperty("reason", reason);
    event.addProperty("message", message);
    addRetryAfter(event, retryAfter);
    event.addProperty("drawn", drawn);
    event.addProperty("heap_peak_bytes", heapPeakBytes);
    write(event);
  }

  private static JsonObject fields(PageAnswer answer) {
    JsonObject fields = new JsonObject();
    for (Page page : answer.getDocument().getPagesList()) {
      for (Field field : page.getFieldsList()) {
        fields.addProperty(field.getName(), field.getNormalizedValue());
      }
    }
    return fields;
  }

  private static void addRetryAfter(JsonObject event, Optional<Duration> retryAfter) {
    if (retryAfter.isPresent()) {
      event.addProperty("retry_after_s", retryAfter.get().toNanos() / 1e9);
    } else {
      event.add("retry_after_s", JsonNull.INSTANCE);
    }
  }

  private static JsonObject event(String name) {
    JsonObject event = new JsonObject();
    event.addProperty("event", name);
    return event;
  }

  private synchronized void write(JsonObject event) {
    out.println(gson.toJson(event));
    out.flush();
  }
}
