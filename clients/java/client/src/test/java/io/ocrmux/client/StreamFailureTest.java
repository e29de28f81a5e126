package io.ocrmux.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Status;
import io.ocrmux.client.FakePreprocess.Break;
import io.ocrmux.ocr.v1.PageAnswer;
import java.io.IOException;
import java.util.Collections;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Flow;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** What is counted as a failure and against whom; and callers who do what they should not. */
final class StreamFailureTest extends StreamTestCase {
  private static final com.google.rpc.Status LOST = FakePreprocess.status(Status.Code.UNAVAILABLE, "");

  private final List<Integer> failures = new CopyOnWriteArrayList<>();

  private StreamPolicy.Builder patient() {
    return fast()
        .backoff(FAST.withAttempts(20))
        .onReconnect(reconnect -> failures.add(reconnect.failures()));
  }

  private static final class Taken implements Flow.Subscriber<PageAnswer> {
    final CountDownLatch over = new CountDownLatch(1);
    final List<PageAnswer> answers = new CopyOnWriteArrayList<>();
    volatile Flow.Subscription subscription;
    volatile Throwable failure;

    @Override
    public void onSubscribe(Flow.Subscription given) {
      subscription = given;
    }

    @Override
    public void onNext(PageAnswer answer) {
      answers.add(answer);
    }

    @Override
    public void onError(Throwable thrown) {
      failure = thrown;
      over.countDown();
    }

    @Override
    public void onComplete() {
      over.countDown();
    }
  }

  /** Rules 9 and 10: an item bears as many lost connections less one, and as many moves, counted apart. */
  @Test
  void movesAndLossesAreCountedApart() {
    service.breaks.addAll(Collections.nCopies(3, new Break(0, LOST)));
    service.moves.put("item-0", 4);
    assertEquals(List.of(only(0, "a")), read(items("a"), patient()));
    assertEquals(3 + 4 + 1, service.streams.get());
  }

  /** Rule 8: that content is asked for ends a row of failures. */
  @Test
  void contentThatIsAskedForEndsARowOfFailures() {
    service.breaks.addAll(List.of(new Break(-1, LOST), new Break(1, LOST), new Break(-1, LOST)));
    assertEquals(List.of(only(0, "a")), read(items("a"), patient().digestFirst(true)));
    assertEquals(List.of(1, 1, 2), failures);
  }

  /** Rule 8: DRAINING ends no row of failures, not as an item's last answer either. */
  @Test
  void drainingEndsNoRowOfFailures() {
    service.moves.put("item-0", 3);
    Break none = new Break(9, LOST);
    service.breaks.addAll(List.of(new Break(-1, LOST), none, none, new Break(1, LOST)));
    List<String> answers = read(items("a", "b"), patient().sendsPerItem(2).concurrency(1));
    assertEquals(List.of("item-0 0 DRAINING.", only(1, "b")), answers);
    assertEquals(IntStream.rangeClosed(1, failures.size()).boxed().toList(), failures);
    assertTrue(failures.size() >= 3);
  }

  /** Rule 6: contents that were asked for are sent in the order of the items. */
  @Test
  void contentsGoInTheOrderOfTheItems() {
    service.answersTogether = 8;
    assertEquals(8, read(numbered(8), fast().digestFirst(true)).size());
    List<String> ids = IntStream.range(0, 8).mapToObj(number -> "item-" + number).toList();
    Set<String> asked = new HashSet<>(); // by digest, which may go in more than one batch
    assertEquals(ids, service.received.stream().filter(id -> !asked.add(id)).toList());
  }

  /** What the source throws ends the stream, though it may not throw it. */
  @Test
  void whatASourceMayNotThrowEndsTheStream() {
    Iterator<Item> sneaky =
        Stream.generate(
                () -> {
                  StreamFailureTest.<RuntimeException>sneak(new IOException("a checked one"));
                  return item("never", "");
                })
            .iterator();
    Throwable checked = assertThrows(Throwable.class, () -> told(client.streamRecognize(sneaky)));
    assertSame(IOException.class, checked.getCause().getClass());
    IllegalStateException own = new IllegalStateException("no subscribers today");
    Flow.Publisher<Item> closed =
        subscriber -> {
          throw own;
        };
    assertSame(own, assertThrows(IllegalStateException.class, () -> told(client.streamRecognize(closed))));
  }

  @SuppressWarnings("unchecked")
  private static <E extends Exception> void sneak(Exception checked) throws E {
    throw (E) checked;
  }

  /** A handle that is closed ends its Subscriber, also one that has an answer waiting and requests nothing. */
  @Test
  void closingEndsASubscriberWithoutDemand() throws InterruptedException {
    AnswerStream stream = client.streamRecognize(numbered(20));
    Taken taken = new Taken();
    stream.subscribe(taken);
    await(() -> service.answered.get() > 0);
    stream.close();
    assertTrue(taken.over.await(30, TimeUnit.SECONDS));
    assertEquals(List.of(), taken.answers);
  }

  /** A second Subscriber, which is refused, does nothing to the first one by cancelling. */
  @Test
  void aSecondSubscriberHarmsNobody() throws InterruptedException {
    service.heldIds.add("*");
    AnswerStream stream = client.streamRecognize(items("a"));
    Taken first = new Taken();
    stream.subscribe(first);
    first.subscription.request(Long.MAX_VALUE);
    await(() -> !service.received.isEmpty());
    Taken second = new Taken();
    stream.subscribe(second);
    second.subscription.cancel();
    second.subscription.request(0);
    service.release();
    assertTrue(first.over.await(30, TimeUnit.SECONDS));
    assertEquals(1, first.answers.size());
  }

  /** Streams of a closed client end with CANCELLED, however often they are asked. */
  @Test
  void streamsOfAClosedClientEnd() throws InterruptedException {
    AnswerStream iterated = client.streamRecognize(items("a"));
    AnswerStream subscribed = client.streamRecognize(items("a"));
    client.close();
    Iterator<PageAnswer> answers = iterated.iterator();
    for (int time = 0; time < 2; time++) {
      assertEquals(Status.Code.CANCELLED, assertThrows(OcrMuxException.class, answers::hasNext).code());
    }
    Taken taken = new Taken();
    subscribed.subscribe(taken);
    assertTrue(taken.over.await(30, TimeUnit.SECONDS));
    assertEquals(Status.Code.CANCELLED, ((OcrMuxException) taken.failure).code());
  }
}
