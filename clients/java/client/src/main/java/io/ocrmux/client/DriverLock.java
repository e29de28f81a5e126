package io.ocrmux.client;

import io.grpc.Status;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * The lock of a stream, as its driving thread uses it: held but while the thread waits or does something slow, so that
 * between two of these nothing changes under its hands.
 */
final class DriverLock {
  final ReentrantLock lock = new ReentrantLock();
  final Condition changed = lock.newCondition();
  private boolean left;

  /** The driving thread is to end: nobody wants its work any more. */
  static final class Left extends RuntimeException {
    private static final long serialVersionUID = 1L;
  }

  /** Something slow, or blocking. */
  interface Slow<T, E extends Exception> {
    T run() throws E;
  }

  /** Ends the driving thread, at its next wait. */
  void leave() {
    left = true;
    changed.signalAll();
  }

  /** Throws Left if the thread is to end. */
  void check() {
    if (left) {
      throw new Left();
    }
  }

  /** Waits for any change, at most so long; perhaps for nothing: whoever waits looks again. Throws Left. */
  @SuppressWarnings("WaitNotInLoop")
  void awaitChange(long atMostNanos) {
    check();
    try {
      if (atMostNanos == Long.MAX_VALUE) {
        changed.await();
      } else {
        changed.awaitNanos(atMostNanos);
      }
    } catch (InterruptedException interrupted) {
      throw new OcrMuxException(Status.Code.CANCELLED, "", "the stream's thread was interrupted");
    }
    check();
  }

  /** Runs something without the lock. Throws Left after it. */
  <T, E extends Exception> T unlocked(Slow<T, E> slow) throws E {
    lock.unlock();
    T result;
    try {
      result = slow.run();
    } finally {
      lock.lock();
    }
    check();
    return result;
  }
}
