package io.ocrmux.client;

import io.ocrmux.ocr.v1.RecognitionConfig;
import io.ocrmux.preprocess.v1.NormalizationConfig;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * How items are to be read, by {@code recognize} and by a stream alike. What is left at its default is the server's to
 * choose.
 *
 * @param features what to read; empty: text
 * @param provider who reads, by its name in ListProviders; empty: the route decides
 * @param route a route of the server's settings; empty: the first one of the feature. Not beside a provider
 * @param languages to expect, BCP 47; empty: the provider's default
 * @param cache how the server's cache is used
 * @param priority who goes first when items wait for one provider
 * @param itemTimeout time for one item (of a document: for each page) at the server; empty: the server's default
 * @param providerOptions options of the provider by its own names
 * @param includeRawResponse whether the provider's own answer is wanted besides the document
 * @param profile of the preparation of pages; empty: the server's default
 * @param overrides parameters of the profile's steps, by "step.parameter"
 * @param idDocument which document to look for, only with {@link Feature#ID_DOCUMENT}; empty: the provider finds out
 */
public record ReadingConfig(
    List<Feature> features,
    String provider,
    String route,
    List<String> languages,
    CacheUse cache,
    Priority priority,
    Optional<Duration> itemTimeout,
    Map<String, String> providerOptions,
    boolean includeRawResponse,
    String profile,
    Map<String, String> overrides,
    Optional<IdDocument> idDocument) {

  private static final ReadingConfig DEFAULTS = builder().build();

  /** Throws IllegalArgumentException for what contradicts itself. */
  public ReadingConfig {
    features = List.copyOf(features);
    languages = List.copyOf(languages);
    providerOptions = Map.copyOf(providerOptions);
    overrides = Map.copyOf(overrides);
    if (idDocument.isPresent() && !features.contains(Feature.ID_DOCUMENT)) {
      throw new IllegalArgumentException("which identity document to look for is said for ID_DOCUMENT only");
    }
    if (!provider.isEmpty() && !route.isEmpty()) {
      throw new IllegalArgumentException("a provider and a route cannot be asked for at once");
    }
    if (itemTimeout.isPresent() && !Durations.isPositive(itemTimeout.get())) {
      throw new IllegalArgumentException("a time limit is above 0, not " + itemTimeout.get());
    }
  }

  /** Text, by whom and how the server likes. */
  public static ReadingConfig defaults() {
    return DEFAULTS;
  }

  /** A config of one's own, from the defaults. */
  public static Builder builder() {
    return new Builder();
  }

  RecognitionConfig recognition() {
    RecognitionConfig.Builder config =
        RecognitionConfig.newBuilder()
            .addAllLanguages(languages)
            .setCachePolicy(cache.toProto())
            .setPriority(priority.toProto())
            .putAllProviderOptions(providerOptions)
            .setIncludeRawResponse(includeRawResponse);
    features.forEach(feature -> config.addFeatures(feature.toProto()));
    idDocument.ifPresent(document -> config.setIdDocument(document.toProto()));
    itemTimeout.ifPresent(timeout -> config.setItemTimeout(Durations.toProto(timeout)));
    if (!provider.isEmpty()) {
      config.setProvider(provider);
    }
    if (!route.isEmpty()) {
      config.setRoute(route);
    }
    return config.build();
  }

  NormalizationConfig normalization() {
    return NormalizationConfig.newBuilder().setProfile(profile).putAllOverrides(overrides).build();
  }

  /** Collects what differs from the defaults. */
  public static final class Builder {
    private List<Feature> features = List.of(Feature.TEXT);
    private String provider = "";
    private String route = "";
    private List<String> languages = List.of();
    private CacheUse cache = CacheUse.USE;
    private Priority priority = Priority.NORMAL;
    private Optional<Duration> itemTimeout = Optional.empty();
    private Map<String, String> providerOptions = Map.of();
    private boolean includeRawResponse;
    private String profile = "";
    private Map<String, String> overrides = Map.of();
    private Optional<IdDocument> idDocument = Optional.empty();

    private Builder() {}

    /** What to read. */
    public Builder features(Feature... wanted) {
      features = List.of(wanted);
      return this;
    }

    /** Who reads, by its name in ListProviders; not beside a route. */
    public Builder provider(String name) {
      provider = name;
      return this;
    }

    /** A route of the server's settings; not beside a provider. */
    public Builder route(String name) {
      route = name;
      return this;
    }

    /** Languages to expect, BCP 47. */
    public Builder languages(String... expected) {
      languages = List.of(expected);
      return this;
    }

    /** How the server's cache is used. */
    public Builder cache(CacheUse use) {
      cache = use;
      return this;
    }

    /** Who goes first when items wait for one provider. */
    public Builder priority(Priority who) {
      priority = who;
      return this;
    }

    /** Time for one item at the server, of a document for each page. */
    public Builder itemTimeout(Duration timeout) {
      itemTimeout = Optional.of(timeout);
      return this;
    }

    /** Options of the provider by its own names. */
    public Builder providerOptions(Map<String, String> options) {
      providerOptions = options;
      return this;
    }

    /** Whether the provider's own answer is wanted besides the document. */
    public Builder includeRawResponse(boolean wanted) {
      includeRawResponse = wanted;
      return this;
    }

    /** How pages are prepared: {@code auto}, {@code document}, {@code photo}, {@code receipt}, {@code none} … */
    public Builder profile(String name) {
      profile = name;
      return this;
    }

    /** Parameters of the profile's steps, by "step.parameter". */
    public Builder overrides(Map<String, String> parameters) {
      overrides = parameters;
      return this;
    }

    /** Which document to look for, only with {@link Feature#ID_DOCUMENT}. */
    public Builder idDocument(IdDocument document) {
      idDocument = Optional.of(document);
      return this;
    }

    /** The config. Throws IllegalArgumentException for what contradicts itself. */
    public ReadingConfig build() {
      return new ReadingConfig(
          features,
          provider,
          route,
          languages,
          cache,
          priority,
          itemTimeout,
          providerOptions,
          includeRawResponse,
          profile,
          overrides,
          idDocument);
    }
  }
}
