package io.ocrmux.client;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;

/** Waits that are over at once, and chance that is always the same. */
final class FakeTiming implements RetryTiming {
  private final double drawn;

  FakeTiming(double drawn) {
    this.drawn = drawn;
  }

  @Override
  public double draw() {
    return drawn;
  }

  @Override
  public Future<?> after(Duration wait, Runnable task) {
    return CompletableFuture.runAsync(task);
  }
}
