package io.ocrmux.client;

import static java.util.Objects.requireNonNull;

import java.util.concurrent.Executor;
import java.util.concurrent.Flow;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.Lock;

/** Items of a Publisher, requested one at a time. */
final class PublisherSource extends ItemSource implements Flow.Subscriber<Item> {
  private final Flow.Publisher<Item> items;
  private final Executor executor;
  private Flow.Subscription subscription;
  private boolean subscribed;

  PublisherSource(Flow.Publisher<Item> items, Executor executor, Lock lock, Condition changed) {
    super(lock, changed);
    this.items = items;
    this.executor = executor;
  }

  @Override
  void ask() {
    if (!subscribed) {
      subscribed = true;
      executor.execute(() -> guarded(() -> items.subscribe(this)));
    } else {
      executor.execute(() -> guarded(() -> subscription.request(1)));
    }
  }

  /** Has what a Publisher throws, which it must not, end the stream. */
  private void guarded(Runnable call) {
    try {
      call.run();
    } catch (RuntimeException | Error thrown) {
      fail(thrown);
    }
  }

  @Override
  void stop() {
    if (subscription != null) {
      executor.execute(subscription::cancel);
    }
  }

  @Override
  public void onSubscribe(Flow.Subscription given) {
    requireNonNull(given, "subscription");
    boolean isUsed;
    lock.lock();
    try {
      isUsed = subscription == null && !isClosed();
      if (isUsed) {
        subscription = given;
      }
    } finally {
      lock.unlock();
    }
    if (isUsed) {
      given.request(1);
    } else {
      given.cancel();
    }
  }

  @Override
  public void onNext(Item item) {
    deliver(item);
  }

  @Override
  public void onError(Throwable thrown) {
    fail(requireNonNull(thrown, "throwable"));
  }

  @Override
  public void onComplete() {
    end();
  }
}
