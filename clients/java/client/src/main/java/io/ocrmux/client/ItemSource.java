package io.ocrmux.client;

import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.Lock;

/**
 * The caller's items, drawn one at a time and only when asked for. Used with the stream's lock held, but for what the
 * caller's side tells: {@link #deliver}, {@link #end} and {@link #fail}.
 */
abstract class ItemSource {
  final Lock lock;
  private final Condition changed;
  private Item ready;
  private Throwable failure;
  private boolean asked;
  private boolean ended;
  private boolean closed;

  /** What the caller's source threw. */
  static final class Failed extends RuntimeException {
    private static final long serialVersionUID = 1L;

    Failed(Throwable cause) {
      super(cause);
    }
  }

  /** {@code changed}, of this lock, is signalled when {@link #take} has something to tell. */
  ItemSource(Lock lock, Condition changed) {
    this.lock = lock;
    this.changed = changed;
  }

  /** Has one more item drawn; does not wait. It is delivered, or the end or a failure told. */
  abstract void ask();

  /** Lets the caller's source go. */
  abstract void stop();

  /** Has the next item drawn meanwhile, unless that is so already; does not wait. */
  final void lookAhead() {
    if (!asked && ready == null && !ended && !closed && failure == null) {
      asked = true;
      ask();
    }
  }

  /** The item that is ready, or null. Throws Failed where the caller's source threw. */
  final Item take() {
    if (failure != null) {
      throw new Failed(failure);
    }
    Item item = ready;
    ready = null;
    return item;
  }

  /** Whether every item was taken. */
  final boolean isExhausted() {
    return ended && ready == null;
  }

  final boolean isClosed() {
    return closed;
  }

  /** Stops drawing items; may be called twice. */
  final void close() {
    if (!closed) {
      closed = true;
      ready = null;
      stop();
    }
  }

  /** Tells the item that was asked for. */
  final void deliver(Item item) {
    tell(() -> {
      if (item == null) {
        failure = new NullPointerException("the source of items gave null");
      } else if (!asked) {
        failure = new IllegalStateException("the source of items gave more than it was asked for");
      } else if (!closed) {
        ready = item;
      }
      asked = false;
    });
  }

  /** Tells that there are no more. */
  final void end() {
    tell(() -> ended = true);
  }

  /** Tells what the caller's source threw. */
  final void fail(Throwable thrown) {
    tell(() -> failure = thrown);
  }

  private void tell(Runnable change) {
    lock.lock();
    try {
      change.run();
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }
}
