package io.ocrmux.client;

import java.time.Duration;

/** Lengths of time between the JDK and protobuf. */
final class Durations {
  private static final long PROTO_MAX_SECONDS = 315_576_000_000L;

  private Durations() {}

  static boolean isPositive(Duration duration) {
    return !duration.isZero() && !duration.isNegative();
  }

  static com.google.protobuf.Duration toProto(Duration duration) {
    return com.google.protobuf.Duration.newBuilder()
        .setSeconds(duration.getSeconds())
        .setNanos(duration.getNano())
        .build();
  }

  /** 0 for what is negative; at most what protobuf has for the longest, some 10 000 years. */
  static Duration fromProto(com.google.protobuf.Duration duration) {
    long seconds = Math.max(0, Math.min(duration.getSeconds(), PROTO_MAX_SECONDS));
    return duration.getSeconds() < 0 ? Duration.ZERO : Duration.ofSeconds(seconds, Math.max(0, duration.getNanos()));
  }

  /** Nanoseconds, at most some 292 years. */
  static long toNanos(Duration duration) {
    try {
      return duration.toNanos();
    } catch (ArithmeticException tooLong) {
      return Long.MAX_VALUE;
    }
  }

  /** Seconds for a person: "600 s", "0.1 s". */
  static String told(Duration duration) {
    double seconds = toNanos(duration) / 1e9;
    return seconds == Math.rint(seconds) ? (long) seconds + " s" : seconds + " s";
  }
}
