package io.ocrmux.client;

import com.google.common.util.concurrent.FutureCallback;
import com.google.common.util.concurrent.Futures;
import com.google.common.util.concurrent.ListenableFuture;
import com.google.common.util.concurrent.MoreExecutors;
import io.grpc.Deadline;
import io.grpc.Status;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/** A unary call that is tried again after passing failures, as the backoff says, until its deadline. */
final class UnaryCall<T> {
  private final Supplier<ListenableFuture<T>> attempt;
  private final Backoff backoff;
  private final RetryTiming timing;
  private final Runnable connectNow;
  private final Deadline deadline;
  private final CompletableFuture<T> result = new CompletableFuture<>();
  private int failures;

  /** Each attempt must keep to the same deadline by itself. */
  UnaryCall(
      Supplier<ListenableFuture<T>> attempt,
      Backoff backoff,
      RetryTiming timing,
      Runnable connectNow,
      Deadline deadline) {
    this.attempt = attempt;
    this.backoff = backoff;
    this.timing = timing;
    this.connectNow = connectNow;
    this.deadline = deadline;
  }

  /** The response, or OcrMuxException. Whoever completes or cancels it himself ends the call. */
  CompletableFuture<T> start() {
    tryOnce();
    return result;
  }

  private void tryOnce() {
    if (result.isDone()) {
      return;
    }
    ListenableFuture<T> call = attempt.get();
    result.whenComplete((value, error) -> call.cancel(false));
    Futures.addCallback(
        call,
        new FutureCallback<T>() {
          @Override
          public void onSuccess(T value) {
            result.complete(value);
          }

          @Override
          public void onFailure(Throwable thrown) {
            failed(OcrMuxException.ofCall(thrown));
          }
        },
        MoreExecutors.directExecutor());
  }

  private void failed(OcrMuxException failure) {
    failures++;
    if (!ItemWindow.isPassing(failure) || failures > backoff.attempts()) {
      result.completeExceptionally(failure);
      return;
    }
    Duration wait = backoff.waitAfter(failures, failure.retryAfter(), timing.draw());
    Duration rest = Duration.ofNanos(Math.max(0, deadline.timeRemaining(TimeUnit.NANOSECONDS)));
    Duration lead = wait.dividedBy(2);
    try {
      timing.after(wait.minus(lead), connectNow);
      timing.after(wait.compareTo(rest) < 0 ? wait : rest, this::tryOnce);
    } catch (RejectedExecutionException closed) {
      result.completeExceptionally(new OcrMuxException(Status.Code.CANCELLED, "", "the client was closed"));
    }
  }
}
