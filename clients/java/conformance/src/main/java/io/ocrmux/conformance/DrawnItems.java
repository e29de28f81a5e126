package io.ocrmux.conformance;

import io.ocrmux.client.Item;
import java.util.Iterator;
import java.util.concurrent.atomic.AtomicInteger;

/** Items that are counted as they are drawn; the count is told at each power of two, where that is wanted. */
final class DrawnItems implements Iterable<Item> {
  private final Iterable<Item> items;
  private final Events events;
  private final boolean told;
  private final AtomicInteger drawn = new AtomicInteger();

  DrawnItems(Iterable<Item> items, Events events, boolean told) {
    this.items = items;
    this.events = events;
    this.told = told;
  }

  int count() {
    return drawn.get();
  }

  @Override
  public Iterator<Item> iterator() {
    Iterator<Item> each = items.iterator();
    return new Iterator<>() {
      @Override
      public boolean hasNext() {
        return each.hasNext();
      }

      @Override
      public Item next() {
        Item item = each.next();
        int count = drawn.incrementAndGet();
        if (told && Integer.bitCount(count) == 1) {
          events.drawn(count);
        }
        return item;
      }
    };
  }
}
