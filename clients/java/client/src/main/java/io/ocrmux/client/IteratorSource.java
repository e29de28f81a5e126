package io.ocrmux.client;

import java.util.Iterator;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.Lock;

/** Items of an Iterable, stepped on a thread of its own, so that one that blocks holds up nothing else. */
final class IteratorSource extends ItemSource {
  private final Iterable<Item> items;
  private final ExecutorService executor;
  private final Condition wanted;
  private boolean isWanted;
  private Future<?> stepping;

  IteratorSource(Iterable<Item> items, ExecutorService executor, Lock lock, Condition changed) {
    super(lock, changed);
    this.items = items;
    this.executor = executor;
    this.wanted = lock.newCondition();
  }

  @Override
  void ask() {
    isWanted = true;
    if (stepping == null) {
      stepping = executor.submit(this::step);
    }
    wanted.signalAll();
  }

  @Override
  void stop() {
    if (stepping != null) {
      stepping.cancel(true);
    }
  }

  private void step() {
    Iterator<Item> iterator = null;
    try {
      iterator = items.iterator();
      while (awaitWanted()) {
        if (!iterator.hasNext()) {
          end();
          return;
        }
        deliver(iterator.next());
      }
    } catch (InterruptedException left) {
      Thread.currentThread().interrupt();
    } catch (Throwable thrown) { // checked ones too, which other languages' iterators throw
      fail(thrown);
    } finally {
      closeQuietly(iterator);
    }
  }

  private boolean awaitWanted() throws InterruptedException {
    lock.lock();
    try {
      while (!isWanted && !isClosed()) {
        wanted.await();
      }
      isWanted = false;
      return !isClosed();
    } finally {
      lock.unlock();
    }
  }

  private static void closeQuietly(Iterator<Item> iterator) {
    if (iterator instanceof AutoCloseable closeable) {
      try {
        closeable.close();
      } catch (Exception nobodyToTell) {
        // every item was drawn, or the stream was left: its answers stand
      }
    }
  }
}
