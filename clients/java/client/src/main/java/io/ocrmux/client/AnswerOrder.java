package io.ocrmux.client;

import io.ocrmux.ocr.v1.PageAnswer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Puts answers into the order of their items: holds them back until every earlier item has its last one. Plain state,
 * no waiting. What it holds is bounded by whoever starts items: see {@link #lag}.
 */
final class AnswerOrder {
  private final boolean ordered;
  private final Map<Long, List<PageAnswer>> held = new HashMap<>();
  private final Set<Long> finished = new HashSet<>();
  private long head;
  private long started;

  AnswerOrder(boolean ordered) {
    this.ordered = ordered;
  }

  /** Items started that are not yet given out to the end; 0 when the order does not matter. */
  long lag() {
    return ordered ? started - head : 0;
  }

  /** The place of the next item. */
  long start() {
    return started++;
  }

  /** The answers that may be given out now that this one is here. */
  List<PageAnswer> take(long place, PageAnswer answer) {
    if (!ordered) {
      return List.of(answer);
    }
    held.computeIfAbsent(place, unused -> new ArrayList<>()).add(answer);
    if (answer.getLastPage()) {
      finished.add(place);
    }
    List<PageAnswer> ready = new ArrayList<>();
    moveHeld(ready);
    while (finished.remove(head)) {
      head++;
      moveHeld(ready);
    }
    return ready;
  }

  private void moveHeld(List<PageAnswer> ready) {
    List<PageAnswer> atHead = held.remove(head);
    if (atHead != null) {
      ready.addAll(atHead);
    }
  }
}
