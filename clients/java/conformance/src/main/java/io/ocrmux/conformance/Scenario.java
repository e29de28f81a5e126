package io.ocrmux.conformance;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.ocrmux.client.Backoff;
import io.ocrmux.client.CacheUse;
import io.ocrmux.client.Feature;
import io.ocrmux.client.IdDocument;
import io.ocrmux.client.Item;
import io.ocrmux.client.OcrMuxClient;
import io.ocrmux.client.Priority;
import io.ocrmux.client.ReadingConfig;
import io.ocrmux.client.Reconnect;
import io.ocrmux.client.Region;
import io.ocrmux.client.StreamPolicy;
import io.ocrmux.client.Tls;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Consumer;

/** One JSON object of the conformance tests, see {@code tests/conformance/README.md}. */
final class Scenario {
  private final JsonObject json;

  private Scenario(JsonObject json) {
    this.json = json;
  }

  static Scenario read(Path file) throws IOException {
    return new Scenario(JsonParser.parseString(Files.readString(file)).getAsJsonObject());
  }

  String call() {
    return json.get("call").getAsString();
  }

  OcrMuxClient client() throws IOException {
    OcrMuxClient.Builder client = OcrMuxClient.builder(json.get("target").getAsString());
    text(json, "gateway_target").ifPresent(client::gatewayTarget);
    text(json, "token").ifPresent(client::token);
    text(json, "tenant").ifPresent(client::tenant);
    backoff().ifPresent(client::backoff);
    if (given(json, "tls")) {
      client.tls(tls(json.getAsJsonObject("tls")));
    }
    return client.build();
  }

  /** Throws IllegalArgumentException for what contradicts itself. */
  ReadingConfig config() {
    ReadingConfig.Builder config = ReadingConfig.builder();
    JsonObject wanted = object("config");
    if (given(wanted, "features")) {
      config.features(texts(wanted, "features").stream().map(Feature::valueOf).toArray(Feature[]::new));
    }
    if (given(wanted, "languages")) {
      config.languages(texts(wanted, "languages").toArray(String[]::new));
    }
    text(wanted, "provider").ifPresent(config::provider);
    text(wanted, "route").ifPresent(config::route);
    text(wanted, "profile").ifPresent(config::profile);
    text(wanted, "cache").map(CacheUse::valueOf).ifPresent(config::cache);
    text(wanted, "priority").map(Priority::valueOf).ifPresent(config::priority);
    text(wanted, "id_document").map(IdDocument::valueOf).ifPresent(config::idDocument);
    seconds(wanted, "item_timeout_s").ifPresent(config::itemTimeout);
    config.providerOptions(map(wanted, "provider_options"));
    config.overrides(map(wanted, "overrides"));
    return config.build();
  }

  /** Throws IllegalArgumentException for numbers that make no sense. */
  StreamPolicy policy(Consumer<Reconnect> onReconnect) {
    StreamPolicy.Builder policy = StreamPolicy.builder().onReconnect(onReconnect);
    JsonObject wanted = object("policy");
    if (given(wanted, "concurrency")) {
      policy.concurrency(wanted.get("concurrency").getAsInt());
    }
    if (given(wanted, "ordered")) {
      policy.ordered(wanted.get("ordered").getAsBoolean());
    }
    if (given(wanted, "digest_first")) {
      policy.digestFirst(wanted.get("digest_first").getAsBoolean());
    }
    if (given(wanted, "sends_per_item")) {
      policy.sendsPerItem(wanted.get("sends_per_item").getAsInt());
    }
    seconds(wanted, "silence_s").ifPresent(policy::silence);
    timeout().ifPresent(policy::timeout);
    backoff().ifPresent(policy::backoff);
    return policy.build();
  }

  Optional<Duration> timeout() {
    return seconds(object("policy"), "timeout_s");
  }

  /** The items in order, made one at a time. Throws IllegalArgumentException for an item that makes no sense. */
  Iterable<Item> items() throws IOException {
    if (given(json, "generated")) {
      JsonObject generated = json.getAsJsonObject("generated");
      return new GeneratedItems(
          generated.get("count").getAsInt(),
          generated.get("bytes").getAsInt(),
          Files.readAllBytes(Path.of(generated.get("base").getAsString())));
    }
    List<JsonObject> items = new ArrayList<>();
    if (given(json, "items")) {
      json.getAsJsonArray("items").forEach(item -> items.add(item.getAsJsonObject()));
    }
    return () -> items.stream().map(Scenario::item).iterator();
  }

  OptionalInt holdAfter() {
    return given(json, "hold_after") ? OptionalInt.of(json.get("hold_after").getAsInt()) : OptionalInt.empty();
  }

  OptionalInt cancelAfter() {
    return given(json, "cancel_after") ? OptionalInt.of(json.get("cancel_after").getAsInt()) : OptionalInt.empty();
  }

  boolean tellsDrawn() {
    return given(json, "generated") || given(json, "hold_after");
  }

  private Optional<Backoff> backoff() {
    if (!given(object("policy"), "backoff")) {
      return Optional.empty();
    }
    JsonObject wanted = object("policy").getAsJsonObject("backoff");
    Backoff usual = Backoff.defaults();
    return Optional.of(
        new Backoff(
            seconds(wanted, "first_s").orElse(usual.first()),
            given(wanted, "factor") ? wanted.get("factor").getAsDouble() : usual.factor(),
            seconds(wanted, "longest_s").orElse(usual.longest()),
            given(wanted, "attempts") ? wanted.get("attempts").getAsInt() : usual.attempts()));
  }

  private static Tls tls(JsonObject wanted) throws IOException {
    Tls tls = given(wanted, "ca_file") ? Tls.caFile(path(wanted, "ca_file")) : Tls.systemRoots();
    return given(wanted, "cert_file") ? tls.withIdentity(path(wanted, "cert_file"), path(wanted, "key_file")) : tls;
  }

  private static Item item(JsonObject wanted) {
    Path path = path(wanted, "path");
    String id = wanted.get("id").getAsString();
    boolean inMemory = given(wanted, "in_memory") && wanted.get("in_memory").getAsBoolean();
    List<Region> regions = new ArrayList<>();
    if (given(wanted, "regions")) {
      for (JsonElement region : wanted.getAsJsonArray("regions")) {
        JsonArray sides = region.getAsJsonArray();
        regions.add(
            new Region(
                sides.get(0).getAsDouble(),
                sides.get(1).getAsDouble(),
                sides.get(2).getAsDouble(),
                sides.get(3).getAsDouble()));
      }
    }
    Item item = inMemory ? Item.of(id, bytes(path)) : Item.of(id, path);
    return item.withRegions(regions).withPassword(text(wanted, "password").orElse(""));
  }

  private static byte[] bytes(Path path) {
    try {
      return Files.readAllBytes(path);
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  private JsonObject object(String name) {
    return given(json, name) ? json.getAsJsonObject(name) : new JsonObject();
  }

  private static boolean given(JsonObject object, String name) {
    return object.has(name) && !object.get(name).isJsonNull();
  }

  private static Optional<String> text(JsonObject object, String name) {
    return given(object, name) ? Optional.of(object.get(name).getAsString()) : Optional.empty();
  }

  private static Path path(JsonObject object, String name) {
    return Path.of(object.get(name).getAsString());
  }

  private static Optional<Duration> seconds(JsonObject object, String name) {
    return given(object, name)
        ? Optional.of(Duration.ofNanos(Math.round(object.get(name).getAsDouble() * 1e9)))
        : Optional.empty();
  }

  private static List<String> texts(JsonObject object, String name) {
    List<String> texts = new ArrayList<>();
    object.getAsJsonArray(name).forEach(text -> texts.add(text.getAsString()));
    return texts;
  }

  private static Map<String, String> map(JsonObject object, String name) {
    Map<String, String> map = new HashMap<>();
    if (given(object, name)) {
      object.getAsJsonObject(name).entrySet().forEach(entry -> map.put(entry.getKey(), entry.getValue().getAsString()));
    }
    return map;
  }
}
