package io.ocrmux.client;

import static java.util.Objects.requireNonNull;

import java.time.Duration;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * How a stream is driven.
 *
 * @param concurrency items sent and not yet answered, at most; the server's own limit may be lower
 * @param ordered whether answers come in the order of the items; else as they are ready
 * @param digestFirst whether items are asked for by their SHA-256 before their content is sent
 * @param sendsPerItem lost connections that had an item before they count as its own fault; it is moved as often
 * @param silence time without a word from the server, while items are with it, after which the connection counts as lost
 * @param timeout time for the whole stream, from when its first answer is asked for; empty: as long as it takes
 * @param backoff waits between connections
 * @param onReconnect hears of each break, on a thread of the client's; what it throws ends the stream
 */
public record StreamPolicy(
    int concurrency,
    boolean ordered,
    boolean digestFirst,
    int sendsPerItem,
    Duration silence,
    Optional<Duration> timeout,
    Backoff backoff,
    Consumer<Reconnect> onReconnect) {

  private static final StreamPolicy DEFAULTS = builder().build();

  /** Throws IllegalArgumentException for numbers and times that are not above 0. */
  public StreamPolicy {
    requireNonNull(backoff, "backoff");
    requireNonNull(onReconnect, "onReconnect");
    boolean positive = concurrency > 0 && sendsPerItem > 0 && Durations.isPositive(silence);
    if (!positive || (timeout.isPresent() && !Durations.isPositive(timeout.get()))) {
      throw new IllegalArgumentException("concurrency, sendsPerItem, silence and timeout are above 0");
    }
  }

  /** 8 items at a time, answers in order, content first, 4 sends an item, 10 minutes of silence, no time limit. */
  public static StreamPolicy defaults() {
    return DEFAULTS;
  }

  /** A policy of one's own, from the defaults. */
  public static Builder builder() {
    return new Builder();
  }

  /** Items that may be started while an earlier one still holds back their answers. */
  long reorderSpan() {
    return Math.max(64, 4L * concurrency);
  }

  /** Collects what differs from the defaults. */
  public static final class Builder {
    private int concurrency = 8;
    private boolean ordered = true;
    private boolean digestFirst;
    private int sendsPerItem = 4;
    private Duration silence = Duration.ofMinutes(10);
    private Optional<Duration> timeout = Optional.empty();
    private Backoff backoff = Backoff.defaults();
    private Consumer<Reconnect> onReconnect = reconnect -> {};

    private Builder() {}

    /** Items sent and not yet answered, at most. */
    public Builder concurrency(int items) {
      concurrency = items;
      return this;
    }

    /** Whether answers come in the order of the items. */
    public Builder ordered(boolean wanted) {
      ordered = wanted;
      return this;
    }

    /** Whether items are asked for by their SHA-256 before their content is sent. */
    public Builder digestFirst(boolean wanted) {
      digestFirst = wanted;
      return this;
    }

    /** Lost connections that had an item before they count as its own fault; it is moved as often, counted apart. */
    public Builder sendsPerItem(int sends) {
      sendsPerItem = sends;
      return this;
    }

    /** Time without a word from the server after which the connection counts as lost. */
    public Builder silence(Duration time) {
      silence = time;
      return this;
    }

    /** Time for the whole stream. */
    public Builder timeout(Duration time) {
      timeout = Optional.of(time);
      return this;
    }

    /** Waits between connections. */
    public Builder backoff(Backoff waits) {
      backoff = waits;
      return this;
    }

    /** Hears of each break, on a thread of the client's. */
    public Builder onReconnect(Consumer<Reconnect> hook) {
      onReconnect = hook;
      return this;
    }

    /** The policy. Throws IllegalArgumentException for numbers and times that are not above 0. */
    public StreamPolicy build() {
      return new StreamPolicy(
          concurrency, ordered, digestFirst, sendsPerItem, silence, timeout, backoff, onReconnect);
    }
  }
}
