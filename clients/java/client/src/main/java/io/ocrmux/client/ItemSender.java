package io.ocrmux.client;

import com.google.protobuf.ByteString;
import io.grpc.Status;
import io.ocrmux.client.ItemWindow.Entry;
import io.ocrmux.preprocess.v1.RecognizeStreamConfig;
import io.ocrmux.preprocess.v1.SourceItem;
import io.ocrmux.preprocess.v1.StreamRecognizeRequest;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.function.BooleanSupplier;

/** Sends the items of a stream over one connection after the other, as far as window and caller have room for them. */
final class ItemSender {
  private static final int DIGESTS_TOGETHER_MAX = 32;
  private static final long HASHED_TOGETHER_MAX_BYTES = 32 << 20; // no message of digests waits longer

  private final DriverLock driver;
  private final RecognizeStreamConfig config;
  private final StreamPolicy policy;
  private final ItemSource source;
  private final ItemWindow window;
  private final BooleanSupplier hasRoom;

  /** The call has ended; the connection tells why. */
  static final class CallEnded extends Exception {
    private static final long serialVersionUID = 1L;
  }

  private interface Preparation<T> {
    T of(Item item) throws ItemRefused;
  }

  /** {@code hasRoom} says whether the caller has room for more answers. */
  ItemSender(
      DriverLock driver,
      RecognizeStreamConfig config,
      StreamPolicy policy,
      ItemSource source,
      ItemWindow window,
      BooleanSupplier hasRoom) {
    this.driver = driver;
    this.config = config;
    this.policy = policy;
    this.source = source;
    this.window = window;
    this.hasRoom = hasRoom;
  }

  /** Takes the item that the source has ready, if any, into the waiting line. */
  void admit() {
    Item item = source.take();
    if (item == null) {
      return;
    }
    long sizeBytes = 0;
    ItemRefused refusal = null;
    try {
      sizeBytes = driver.unlocked(() -> ItemMessages.sizeBytes(item));
    } catch (ItemRefused refused) {
      refusal = refused;
    }
    window.admit(item, sizeBytes, refusal);
  }

  /** Sends what there is to send, as there is room for it, and half-closes. Throws CallEnded, Left and Failed. */
  void write(StreamConnection current) throws CallEnded {
    send(current, StreamRecognizeRequest.newBuilder().setConfig(config).build());
    while (current.limits() == null) {
      awaitWord(current);
    }
    for (Entry entry = nextEntry(current); entry != null; entry = nextEntry(current)) {
      if (entry.byDigest()) {
        sendDigests(current, entry);
      } else {
        sendContent(current, entry);
      }
    }
    current.halfClose();
  }

  /** The next item, once there is room for it; null when this connection has nothing more to send. */
  private Entry nextEntry(StreamConnection current) throws CallEnded {
    while (window.movingCause() == null) {
      admit();
      check(current);
      if (window.hasWaiting()) {
        Entry entry = withRoom(current, false);
        if (entry != null) {
          return entry;
        }
        if (!window.hasWaiting()) {
          continue; // what waited was answered here
        }
      } else if (source.isExhausted() && !window.hasDigestsInFlight()) {
        return null;
      }
      lookAhead(current);
      awaitWord(current);
    }
    return null;
  }

  private Entry withRoom(StreamConnection current, boolean byDigestOnly) {
    return hasRoom.getAsBoolean() ? window.next(current.limits(), byDigestOnly) : null;
  }

  private void lookAhead(StreamConnection current) {
    if (hasRoom.getAsBoolean() && window.hasPlace(current.limits())) {
      source.lookAhead();
    }
  }

  /** Sends the digest of this item, and of those that are ready behind it, in one message. */
  private void sendDigests(StreamConnection current, Entry first) throws CallEnded {
    List<Entry> hashed = new ArrayList<>();
    List<SourceItem> messages = new ArrayList<>();
    long hashedBytes = 0;
    for (Entry entry = first; entry != null; entry = withRoom(current, true)) {
      lookAhead(current);
      SourceItem message = prepared(entry, item -> ItemMessages.byDigest(item, current.limits()));
      if (message != null) {
        hashed.add(entry);
        messages.add(message);
      }
      hashedBytes += entry.sizeBytes();
      if (hashed.size() == DIGESTS_TOGETHER_MAX || hashedBytes > HASHED_TOGETHER_MAX_BYTES) {
        break;
      }
      admit();
    }
    sending(current, hashed);
    for (StreamRecognizeRequest request : ItemMessages.together(messages, current.limits())) {
      send(current, request);
    }
  }

  private void sendContent(StreamConnection current, Entry entry) throws CallEnded {
    ByteString content = prepared(entry, item -> ItemMessages.load(item, current.limits()));
    if (content == null) {
      return;
    }
    sending(current, List.of(entry));
    Iterator<StreamRecognizeRequest> requests =
        ItemMessages.withContent(entry.item, content, current.limits()).iterator();
    while (requests.hasNext() && window.isInFlight(entry)) { // else answered already, refused by its announcement
      send(current, requests.next());
    }
  }

  /** Has the items count as being with the server, whose silence begins with the first of them. */
  private void sending(StreamConnection current, List<Entry> entries) throws CallEnded {
    check(current);
    if (!window.isWithServer()) {
      current.hush();
    }
    entries.forEach(Entry::sent);
  }

  /** What is made of the item, without the lock; null if the item had to be answered here. */
  private <T> T prepared(Entry entry, Preparation<T> preparation) {
    try {
      return driver.unlocked(() -> preparation.of(entry.item));
    } catch (ItemRefused refusal) {
      window.refuse(entry, refusal);
      return null;
    }
  }

  private void send(StreamConnection current, StreamRecognizeRequest request) throws CallEnded {
    while (!current.isReady()) {
      awaitWord(current);
    }
    try {
      driver.unlocked(() -> {
        current.send(request);
        return null;
      });
    } catch (IllegalStateException callIsOver) {
      check(current);
      throw callIsOver;
    }
  }

  /** Waits for whatever happens next; ends the call where the server has been silent for too long. */
  void awaitWord(StreamConnection current) throws CallEnded {
    check(current);
    long restNanos = Long.MAX_VALUE;
    if ((window.isWithServer() || current.limits() == null) && !current.isReadingHeld()) {
      restNanos = Durations.toNanos(policy.silence()) - (System.nanoTime() - current.lastWordNanos());
    }
    if (restNanos <= 0) {
      String message = "no word from the server for " + Durations.told(policy.silence());
      current.abandon(
          new OcrMuxException(Status.Code.UNAVAILABLE, OcrMuxException.CONNECTION_LOST, message));
    } else {
      driver.awaitChange(restNanos);
    }
    check(current);
  }

  private void check(StreamConnection current) throws CallEnded {
    driver.check();
    if (current.hasEnded()) {
      throw new CallEnded();
    }
  }
}
