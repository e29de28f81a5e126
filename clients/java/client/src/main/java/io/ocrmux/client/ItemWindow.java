package io.ocrmux.client;

import io.grpc.Status;
import io.ocrmux.ocr.v1.PageAnswer;
import io.ocrmux.ocr.v1.StreamLimits;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;

/**
 * Where each item of a stream stands: waiting to be sent, with the server, or to be moved to another connection. Plain
 * state, no waiting; its owner guards it with a lock.
 */
final class ItemWindow {
  private static final Set<String> SEND_ELSEWHERE = Set.of("DRAINING", "SERVER_BUSY");
  private static final Comparator<Entry> BY_PLACE = Comparator.comparingLong(entry -> entry.place);

  private final StreamPolicy policy;
  private final AnswerOrder order;
  private final Consumer<PageAnswer> out;
  private final List<Entry> waiting = new ArrayList<>();
  private final Map<String, Entry> inFlight = new LinkedHashMap<>();
  private final List<Entry> moving = new ArrayList<>();
  private final Set<String> unfinishedIds = new HashSet<>();
  private long bytesInFlight;
  private int digestsInFlight;
  private OcrMuxException movingCause;
  private boolean progress;

  /** An item on its way. */
  static final class Entry {
    final Item item;
    private final long place;
    private final long sizeBytes;
    private final ItemRefused refusal;
    private boolean byDigest;
    private int pagesGiven;
    private boolean isSent; // the present connection has it, or a part of it
    private int losses;
    private int moves;

    private Entry(Item item, long place, long sizeBytes, ItemRefused refusal, boolean byDigest) {
      this.item = item;
      this.place = place;
      this.sizeBytes = sizeBytes;
      this.refusal = refusal;
      this.byDigest = byDigest;
    }

    boolean byDigest() {
      return byDigest;
    }

    long sizeBytes() {
      return sizeBytes;
    }

    void sent() {
      isSent = true;
    }
  }

  /** Answers go to {@code out} in the order of the policy. */
  ItemWindow(StreamPolicy policy, Consumer<PageAnswer> out) {
    this.policy = policy;
    this.order = new AnswerOrder(policy.ordered());
    this.out = out;
  }

  /** Puts an item into the waiting line, with its size or why it cannot be read. Throws IllegalArgumentException. */
  void admit(Item item, long sizeBytes, ItemRefused refusal) {
    if (!unfinishedIds.add(item.requestId())) {
      throw new IllegalArgumentException("the request id '" + item.requestId() + "' is used by two items");
    }
    waiting.add(new Entry(item, order.start(), sizeBytes, refusal, policy.digestFirst()));
  }

  boolean hasWaiting() {
    return !waiting.isEmpty();
  }

  boolean isEmpty() {
    return waiting.isEmpty() && inFlight.isEmpty() && moving.isEmpty();
  }

  /** Whether the server has an item that it has not answered. */
  boolean isWithServer() {
    return inFlight.values().stream().anyMatch(entry -> entry.isSent);
  }

  boolean hasDigestsInFlight() {
    return digestsInFlight > 0;
  }

  boolean isInFlight(Entry entry) {
    return inFlight.get(entry.item.requestId()) == entry;
  }

  /** Whether another item, of whatever size, may be drawn from the source. */
  boolean hasPlace(StreamLimits limits) {
    return waiting.isEmpty() && fits(0, limits) && order.lag() < policy.reorderSpan();
  }

  /** What had items moved from this connection, or null. */
  OcrMuxException movingCause() {
    return movingCause;
  }

  /** Whether an answer came on this connection, but those that want their item elsewhere. */
  boolean progress() {
    return progress;
  }

  void beginConnection() {
    progress = false;
    movingCause = null;
  }

  /**
   * Takes the first waiting item into flight and gives it, if there is room for it; else null. Answers here what cannot
   * be sent at all.
   */
  Entry next(StreamLimits limits, boolean byDigestOnly) {
    while (!waiting.isEmpty()) {
      Entry entry = waiting.get(0);
      try {
        if (entry.refusal != null) {
          throw entry.refusal;
        }
        ItemMessages.checkSize(entry.sizeBytes, limits);
      } catch (ItemRefused refusal) {
        waiting.remove(0);
        answerHere(entry, refusal.status());
        continue;
      }
      if (!fits(entry.sizeBytes, limits) || (byDigestOnly && !entry.byDigest)) {
        return null;
      }
      waiting.remove(0);
      takeOff(entry);
      return entry;
    }
    return null;
  }

  /** Takes an answer of the server's. Throws OcrMuxException for a breach of protocol. */
  void take(PageAnswer answer) {
    Entry entry = inFlight.get(answer.getRequestId());
    if (entry == null) {
      throw new OcrMuxException(
          Status.Code.INTERNAL,
          OcrMuxException.PROTOCOL_BROKEN,
          "the server answered '" + answer.getRequestId() + "', which waits for no answer");
    }
    Optional<OcrMuxException> error = answer.getLastPage() ? OcrMuxException.of(answer) : Optional.empty();
    if (answer.getLastPage()) {
      land(entry);
    }
    progress |= error.isEmpty() || !isSentElsewhere(error.get());
    if (error.isPresent() && isToBeSentAgain(entry, error.get())) {
      return;
    }
    if (answer.getPage() == 0 || answer.getPage() > entry.pagesGiven) {
      entry.pagesGiven = Math.max(entry.pagesGiven, answer.getPage());
      give(entry, answer);
    } else if (answer.getLastPage()) {
      String message =
          "the item ended at page " + answer.getPage() + ", after page " + entry.pagesGiven + " had been answered";
      answerHere(entry, OcrMuxException.status(
          Status.Code.ABORTED, OcrMuxException.PROTOCOL_BROKEN, message, Map.of()));
    }
  }

  /** Answers an item in flight that turned out to be unreadable. */
  void refuse(Entry entry, ItemRefused refusal) {
    if (isInFlight(entry)) {
      land(entry);
      answerHere(entry, refusal.status());
    }
  }

  /** Items with the server that have no last answer. */
  int unanswered() {
    return inFlight.size();
  }

  /** Puts what has no last answer back into the waiting line, in the old order; {@code failure} may be null. */
  void settle(OcrMuxException failure) {
    for (Entry entry : List.copyOf(inFlight.values())) {
      land(entry);
      entry.losses += entry.isSent ? 1 : 0;
      if (entry.losses >= policy.sendsPerItem()) {
        String message =
            "the connection was lost " + entry.losses + " times while this item was with the server: "
                + (failure == null ? "" : failure.getMessage());
        answerHere(entry, OcrMuxException.status(
            Status.Code.UNAVAILABLE, OcrMuxException.CONNECTION_LOST, message, Map.of()));
      } else {
        moving.add(entry);
      }
    }
    waiting.addAll(moving);
    moving.clear();
    waiting.sort(BY_PLACE);
    waiting.forEach(entry -> entry.isSent = false);
  }

  /** Whether the same call may succeed later. CANCELLED is a server that stopped: what is cancelled here never asks. */
  static boolean isPassing(OcrMuxException failure) {
    return switch (failure.code()) {
      case UNAVAILABLE, CANCELLED -> true;
      case INTERNAL -> failure.reason().isEmpty();
      default -> isSentElsewhere(failure);
    };
  }

  private static boolean isSentElsewhere(OcrMuxException error) {
    return SEND_ELSEWHERE.contains(error.reason());
  }

  private boolean isToBeSentAgain(Entry entry, OcrMuxException error) {
    if (entry.byDigest && error.reason().equals("CONTENT_REQUIRED")) {
      entry.byDigest = false;
      entry.isSent = false;
      waiting.add(entry);
      waiting.sort(BY_PLACE);
      return true;
    }
    if (isSentElsewhere(error) && entry.moves < policy.sendsPerItem()) {
      entry.moves++;
      moving.add(entry);
      movingCause = error;
      return true;
    }
    return false;
  }

  private boolean fits(long sizeBytes, StreamLimits limits) {
    if (inFlight.isEmpty()) {
      return true;
    }
    long items = Integer.toUnsignedLong(limits.getMaxItemsInFlight());
    long window = items == 0 ? policy.concurrency() : Math.min(policy.concurrency(), items);
    long bytes = limits.getMaxBytesInFlight();
    return inFlight.size() < window && (bytes <= 0 || bytesInFlight + sizeBytes <= bytes);
  }

  private void takeOff(Entry entry) {
    inFlight.put(entry.item.requestId(), entry);
    bytesInFlight += entry.sizeBytes;
    digestsInFlight += entry.byDigest ? 1 : 0;
  }

  private void land(Entry entry) {
    inFlight.remove(entry.item.requestId());
    bytesInFlight -= entry.sizeBytes;
    digestsInFlight -= entry.byDigest ? 1 : 0;
  }

  private void answerHere(Entry entry, com.google.rpc.Status status) {
    give(
        entry,
        PageAnswer.newBuilder()
            .setRequestId(entry.item.requestId())
            .setLastPage(true)
            .setError(status)
            .build());
  }

  private void give(Entry entry, PageAnswer answer) {
    if (answer.getLastPage()) {
      unfinishedIds.remove(entry.item.requestId());
    }
    order.take(entry.place, answer).forEach(out);
  }
}
