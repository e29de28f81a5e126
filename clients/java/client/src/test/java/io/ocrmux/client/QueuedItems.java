package io.ocrmux.client;

import java.util.Iterator;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;

/** Items as they are put into a queue, which may be never; the id "end" ends them. Tells when it was closed. */
final class QueuedItems implements Iterator<Item>, AutoCloseable {
  final CountDownLatch closed = new CountDownLatch(1);
  private final BlockingQueue<Item> queue;
  private Item next;

  QueuedItems(BlockingQueue<Item> queue) {
    this.queue = queue;
  }

  @Override
  public boolean hasNext() {
    try {
      next = next == null ? queue.take() : next;
    } catch (InterruptedException left) {
      throw new IllegalStateException("interrupted", left);
    }
    return !next.requestId().equals("end");
  }

  @Override
  public Item next() {
    Item item = next;
    next = null;
    return item;
  }

  @Override
  public void close() {
    closed.countDown();
  }
}
