package io.ocrmux.client;

import java.time.Duration;

/** Lengths of time between the JDK and protobuf. */
final class Durations {

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

  static Duration fromProto(com.google.protobuf.Duration duration) {
    return Duration.ofSeconds(duration.getSeconds(), duration.getNanos());
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
