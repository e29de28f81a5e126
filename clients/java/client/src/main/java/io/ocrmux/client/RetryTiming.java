package io.ocrmux.client;

import java.time.Duration;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;

/** Time and chance of the waits between two tries; tests have their own. */
interface RetryTiming {

  /** A random number, 0 to 1. */
  double draw();

  /** Runs the task after this time, unless it is cancelled before. */
  Future<?> after(Duration wait, Runnable task);

  /** The real ones. */
  static RetryTiming of(ScheduledExecutorService scheduler) {
    return new RetryTiming() {
      @Override
      public double draw() {
        return ThreadLocalRandom.current().nextDouble();
      }

      @Override
      public Future<?> after(Duration wait, Runnable task) {
        return scheduler.schedule(task, Durations.toNanos(wait), TimeUnit.NANOSECONDS);
      }
    };
  }
}
