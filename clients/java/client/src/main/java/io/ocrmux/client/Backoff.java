package io.ocrmux.client;

import java.time.Duration;
import java.util.Optional;

/**
 * How long to wait before a server is asked again: exponentially longer, each wait cut by a random factor of 0.5 to 1.
 *
 * @param first wait after the first failure, before the cut
 * @param factor by which each further failure in a row lengthens it, 1 or more
 * @param longest wait at all, also where the server asks for more
 * @param attempts failures in a row, without an answer in between, that are borne; the next one is final
 */
public record Backoff(Duration first, double factor, Duration longest, int attempts) {

  /** Throws IllegalArgumentException for negative waits or attempts, or a factor below 1. */
  public Backoff {
    if (first.isNegative() || longest.isNegative() || attempts < 0 || !(factor >= 1)) {
      throw new IllegalArgumentException("waits and attempts are 0 or more, the factor is 1 or more");
    }
  }

  /** 0.2 s, doubled, at most 10 s; 8 failures in a row are borne. */
  public static Backoff defaults() {
    return new Backoff(Duration.ofMillis(200), 2.0, Duration.ofSeconds(10), 8);
  }

  /** The same waits with another bound on failures in a row. */
  public Backoff withAttempts(int newAttempts) {
    return new Backoff(first, factor, longest, newAttempts);
  }

  /**
   * The wait after the failure of this number in a row, counted from 1.
   *
   * @param failures in a row
   * @param atLeast the server's own wish; more than {@code longest} is cut to it
   * @param draw a random number, 0 to 1
   */
  Duration waitAfter(int failures, Optional<Duration> atLeast, double draw) {
    double longestNanos = Durations.toNanos(longest);
    double ceilingNanos = Math.min(longestNanos, Durations.toNanos(first) * Math.pow(factor, failures - 1.0));
    double wishNanos = atLeast.map(Durations::toNanos).orElse(0L);
    return Duration.ofNanos((long) Math.min(longestNanos, Math.max(ceilingNanos * (0.5 + 0.5 * draw), wishNanos)));
  }
}
