package io.ocrmux.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Status;
import io.ocrmux.client.FakePreprocess.Break;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.SynchronousQueue;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What becomes of a stream whose connection breaks, or whose server sends items elsewhere. */
final class StreamResumeTest extends StreamTestCase {
  private static final com.google.rpc.Status LOST = FakePreprocess.status(Status.Code.UNAVAILABLE, "");

  private final List<Reconnect> reconnects = new CopyOnWriteArrayList<>();

  private StreamPolicy.Builder watched() {
    return fast().onReconnect(reconnects::add);
  }

  /** Rules 8 and 11: after a break what has no last answer is sent again, and pages given out are not given again. */
  @Test
  void eachPageOfEachItemIsGivenOnceWhateverBreaks() {
    service.breaks.add(new Break(3, LOST));
    service.breaks.add(new Break(4, LOST));
    assertEquals(
        List.of(
            page(0, 1, "pages=5", false),
            page(0, 2, "pages=5", false),
            page(0, 3, "pages=5", false),
            page(0, 4, "pages=5", false),
            page(0, 5, "pages=5", true),
            only(1, "a"),
            page(2, 1, "pages=2", false),
            page(2, 2, "pages=2", true),
            only(3, "b")),
        read(items("pages=5", "a", "pages=2", "b"), watched()));
    assertEquals(3, service.streams.get());
    assertEquals(List.of(1, 1), reconnects.stream().map(Reconnect::failures).toList());
  }

  /** Rules 8 and 11: the same with batches that are lost with their connection. */
  @Test
  void aBatchThatIsLostIsAskedForAgain() {
    service.answersTogether = 3;
    service.breaks.add(new Break(4, LOST));
    List<String> answers = read(items("a", "pages=4", "b", "c"), watched());
    assertEquals(
        List.of(
            only(0, "a"),
            page(1, 1, "pages=4", false),
            page(1, 2, "pages=4", false),
            page(1, 3, "pages=4", false),
            page(1, 4, "pages=4", true),
            only(2, "b"),
            only(3, "c")),
        answers);
  }

  /** Rule 11: an item that is sent again and ends before the pages that were given out is an error, not silence. */
  @Test
  void anItemThatShrinksWhenItIsSentAgainIsAnError() {
    service.breaks.add(new Break(2, LOST));
    service.shrinking = true;
    assertEquals(
        List.of(page(0, 1, "pages=3", false), page(0, 2, "pages=3", false), "item-0 0 PROTOCOL_BROKEN."),
        read(items("pages=3"), watched()));
  }

  /** Rule 8: the endings that count as a lost connection, among them OK with items unanswered. */
  @ParameterizedTest
  @CsvSource({
    "UNAVAILABLE, '', UNAVAILABLE, ''",
    "UNAVAILABLE, DRAINING, UNAVAILABLE, DRAINING",
    "INTERNAL, '', INTERNAL, ''",
    "CANCELLED, '', CANCELLED, ''",
    "RESOURCE_EXHAUSTED, SERVER_BUSY, RESOURCE_EXHAUSTED, SERVER_BUSY",
    "OK, '', UNAVAILABLE, CONNECTION_LOST"
  })
  void aLostConnectionIsMended(Status.Code code, String reason, Status.Code cause, String causeReason) {
    service.breaks.add(new Break(0, code == Status.Code.OK ? null : FakePreprocess.status(code, reason)));
    assertEquals(List.of(only(0, "a"), only(1, "b")), read(items("a", "b"), watched()));
    assertEquals(1, reconnects.size());
    assertEquals(cause, reconnects.get(0).cause().code());
    assertEquals(causeReason, reconnects.get(0).cause().reason());
  }

  /** Rule 8: a server that ends each stream with OK before any item is not asked again without end. */
  @Test
  void aServerThatEndsEachStreamAtOnceIsGivenUp() {
    service.breaks.addAll(Collections.nCopies(20, new Break(-1, null)));
    OcrMuxException thrown = assertThrows(OcrMuxException.class, () -> read(items("a"), watched()));
    assertEquals("CONNECTION_LOST", thrown.reason());
    assertEquals(FAST.attempts() + 1, service.streams.get());
  }

  /** Rule 8: waits double from one failure in a row to the next, are cut by chance, and are not less than RetryInfo. */
  @Test
  void waitsAreThoseOfTheBackoffAndOfTheServer() {
    for (int failure = 0; failure < 3; failure++) {
      service.breaks.add(new Break(-1, LOST));
    }
    service.breaks.add(
        new Break(-1, FakePreprocess.status(Status.Code.UNAVAILABLE, "DRAINING", Duration.ofSeconds(7))));
    service.breaks.add(
        new Break(-1, FakePreprocess.status(Status.Code.UNAVAILABLE, "DRAINING", Duration.ofMinutes(7))));
    service.breaks.add(new Break(1, LOST));
    try (OcrMuxClient hasty = OcrMuxClient.builder(server.target()).timing(new FakeTiming(0.5)).build();
        AnswerStream answers =
            hasty.streamRecognize(
                items("pages=2"),
                ReadingConfig.defaults(),
                StreamPolicy.builder().sendsPerItem(10).onReconnect(reconnects::add).build())) {
      assertEquals(2, told(answers).size());
    }
    assertEquals(
        List.of(150L, 300L, 600L, 7000L, 10000L, 150L),
        reconnects.stream().map(reconnect -> reconnect.pause().toMillis()).toList());
    assertEquals(List.of(1, 2, 3, 4, 5, 1), reconnects.stream().map(Reconnect::failures).toList());
  }

  /** Rule 8: without a server the stream ends after the failures that are borne, each told. */
  @Test
  void aServerThatStaysAwayIsGivenUp() {
    try (OcrMuxClient nowhere = OcrMuxClient.builder("127.0.0.1:1").build()) {
      AnswerStream answers =
          nowhere.streamRecognize(items("a"), ReadingConfig.defaults(), watched().build());
      OcrMuxException thrown = assertThrows(OcrMuxException.class, () -> told(answers));
      assertEquals(Status.Code.UNAVAILABLE, thrown.code());
      assertEquals(List.of(1, 2, 3), reconnects.stream().map(Reconnect::failures).toList());
    }
  }

  /** Rules 8 and 10: a silent server counts as lost, and an item that had it so often is answered. */
  @Test
  void aSilentServerCountsAsLost() {
    service.heldIds.add("*");
    List<String> answers =
        read(items("a"), watched().silence(Duration.ofMillis(150)).sendsPerItem(2));
    assertEquals(List.of("item-0 0 CONNECTION_LOST."), answers);
    assertEquals(2, service.streams.get());
    assertEquals("CONNECTION_LOST", reconnects.get(0).cause().reason());
  }

  /** Rule 8: the caller's own silence is not the server's. */
  @Test
  void aCallerThatTakesNothingForLongLosesNoConnection() throws InterruptedException {
    StreamPolicy policy = watched().silence(Duration.ofMillis(500)).concurrency(1).build();
    try (AnswerStream answers = client.streamRecognize(items("pages=20"), ReadingConfig.defaults(), policy)) {
      int count = 0;
      for (var answer : answers) {
        if (count++ == 0) {
          Thread.sleep(1500); // more than the silence, which is what this is about
        }
        assertTrue(answer.hasDocument());
      }
      assertEquals(20, count);
    }
    assertEquals(List.of(), reconnects);
  }

  /** Rule 8: a connection that ends while nothing waits for it is opened again for the next item, and is no failure. */
  @Test
  void anIdleConnectionThatEndsIsNoFailure() throws InterruptedException {
    service.breaks.add(new Break(1, LOST));
    SynchronousQueue<Item> queue = new SynchronousQueue<>();
    Thread feeder =
        new Thread(
            () -> {
              try {
                queue.put(item("item-0", "a"));
                await(() -> service.answered.get() == 1);
                for (int trip = 0; trip < 10; trip++) {
                  roundTrip(); // behind the end of the stream, on the same connection
                }
                queue.put(item("item-1", "b"));
                queue.put(item("end", "end"));
              } catch (InterruptedException left) {
                Thread.currentThread().interrupt();
              }
            });
    feeder.start();
    Iterable<Item> items = () -> new QueuedItems(queue);
    assertEquals(
        List.of(only(0, "a"), only(1, "b")),
        told(client.streamRecognize(items, ReadingConfig.defaults(), watched().build())));
    feeder.join();
    assertEquals(2, service.streams.get());
    assertEquals(List.of(), reconnects);
  }

  /** Rule 9: an item that is answered DRAINING goes to a new stream; its answer is given once, in its place. */
  @Test
  void aMovedItemIsReadElsewhere() {
    service.moves.put("item-1", 2);
    assertEquals(List.of(only(0, "a"), only(1, "b"), only(2, "c")), read(items("a", "b", "c"), watched()));
    assertEquals(3, service.streams.get());
    assertEquals("DRAINING", reconnects.get(0).cause().reason());
  }

  /** Rule 10: an item that is moved as often as it may be sent has DRAINING as its answer. */
  @Test
  void anItemThatIsMovedTooOftenIsAnswered() {
    service.moves.put("item-0", 100);
    assertEquals(
        List.of("item-0 0 DRAINING.", only(1, "b")), read(items("a", "b"), watched().sendsPerItem(2)));
  }

  /** Rule 10: an item that always breaks the connection fails alone. */
  @Test
  void anItemThatBreaksConnectionsFailsAlone() {
    service.breaks.add(new Break(0, LOST));
    service.breaks.add(new Break(0, LOST));
    List<String> answers = read(items("poison", "fine"), watched().sendsPerItem(2).concurrency(1));
    assertEquals(List.of("item-0 0 CONNECTION_LOST.", only(1, "fine")), answers);
  }

  /** Rules 6 and 8: an item whose content was asked for before the break is sent with its content after it. */
  @Test
  void digestsSurviveABreak() {
    service.breaks.add(new Break(2, LOST));
    List<String> answers = read(items("a", "b", "c"), watched().digestFirst(true));
    assertEquals(List.of(only(0, "a"), only(1, "b"), only(2, "c")), answers);
  }
}
