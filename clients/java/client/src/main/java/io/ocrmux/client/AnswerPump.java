package io.ocrmux.client;

import io.ocrmux.ocr.v1.PageAnswer;
import java.util.Iterator;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Flow;

/** Carries answers from a stream to its Subscriber, as many as are requested, on one thread. */
final class AnswerPump implements Flow.Subscription, Runnable {
  private final Iterator<PageAnswer> answers;
  private final Flow.Subscriber<? super PageAnswer> subscriber;
  private final Runnable leave;
  private long demand;
  private boolean cancelled;
  private boolean isMisused;
  private boolean isLeft;

  AnswerPump(Iterator<PageAnswer> answers, Flow.Subscriber<? super PageAnswer> subscriber, Runnable leave) {
    this.answers = answers;
    this.subscriber = subscriber;
    this.leave = leave;
  }

  @Override
  public void request(long count) {
    synchronized (this) {
      demand = Math.max(demand, demand + count < 0 ? Long.MAX_VALUE : demand + count);
      isMisused |= count <= 0;
      notifyAll();
    }
    if (count <= 0) {
      leave.run();
    }
  }

  @Override
  public void cancel() {
    synchronized (this) {
      cancelled = true;
      notifyAll();
    }
    leave.run();
  }

  /** Gives no more: the stream has been left, by whomever. */
  synchronized void end() {
    isLeft = true;
    notifyAll();
  }

  @Override
  public void run() {
    try {
      while (answers.hasNext() && awaitDemand()) {
        subscriber.onNext(answers.next());
      }
    } catch (RuntimeException | Error thrown) {
      finish(thrown instanceof CompletionException wrapped ? wrapped.getCause() : thrown);
      return;
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      finish(interrupted);
      return;
    }
    finish(null);
  }

  /** Waits for a request; false where nothing more may be given. */
  private synchronized boolean awaitDemand() throws InterruptedException {
    while (demand == 0 && mayGive()) {
      wait();
    }
    demand--;
    return mayGive();
  }

  private synchronized boolean mayGive() {
    return !cancelled && !isMisused && !isLeft;
  }

  private void finish(Throwable failure) {
    leave.run();
    synchronized (this) {
      if (cancelled) {
        return;
      }
      cancelled = true;
    }
    if (isMisused) {
      subscriber.onError(new IllegalArgumentException("a demand is above 0"));
    } else if (failure == null) {
      subscriber.onComplete();
    } else {
      subscriber.onError(failure);
    }
  }
}
