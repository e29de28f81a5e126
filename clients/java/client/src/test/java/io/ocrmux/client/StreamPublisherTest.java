package io.ocrmux.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Status;
import io.ocrmux.ocr.v1.PageAnswer;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Flow;
import java.util.concurrent.SubmissionPublisher;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

/** Items from a Publisher, and answers to a Subscriber. */
final class StreamPublisherTest extends StreamTestCase {

  private static final class Answers implements Flow.Subscriber<PageAnswer> {
    final List<String> told = new CopyOnWriteArrayList<>();
    final CountDownLatch over = new CountDownLatch(1);
    volatile Flow.Subscription subscription;
    volatile Throwable failure;

    @Override
    public void onSubscribe(Flow.Subscription given) {
      subscription = given;
    }

    @Override
    public void onNext(PageAnswer answer) {
      told.add(told(answer));
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

    private static String told(PageAnswer answer) {
      return StreamTestCase.told(answer);
    }
  }

  /** A Subscriber has as many answers as it requests, and the server is held up meanwhile. */
  @Test
  void theDemandIsHonoured() throws InterruptedException {
    Answers answers = new Answers();
    client.streamRecognize(numbered(200), ReadingConfig.defaults(), fast().concurrency(2).build()).subscribe(answers);
    answers.subscription.request(3);
    await(() -> answers.told.size() == 3);
    roundTrip();
    assertEquals(3, answers.told.size());
    assertTrue(service.received.size() <= 12, () -> service.received.size() + " were sent");
    answers.subscription.request(Long.MAX_VALUE);
    assertTrue(answers.over.await(30, TimeUnit.SECONDS));
    assertEquals(200, answers.told.size());
  }

  /** A Subscriber that cancels leaves the stream. */
  @Test
  void cancellingTheSubscriptionCancelsTheCall() throws InterruptedException {
    service.heldIds.add("item-1");
    Answers answers = new Answers();
    client.streamRecognize(items("a", "b")).subscribe(answers);
    answers.subscription.request(10);
    await(() -> answers.told.size() == 1);
    answers.subscription.cancel();
    assertTrue(service.cancelled.await(30, TimeUnit.SECONDS));
  }

  /** The stream's error is the Subscriber's; so is a demand of nothing, and a second Subscriber's being second. */
  @Test
  void errorsReachTheSubscriber() throws InterruptedException {
    service.refusal = FakePreprocess.status(Status.Code.INVALID_ARGUMENT, "PROFILE_UNKNOWN");
    AnswerStream stream = client.streamRecognize(items("a"));
    Answers first = new Answers();
    stream.subscribe(first);
    assertTrue(first.over.await(30, TimeUnit.SECONDS));
    assertEquals("PROFILE_UNKNOWN", ((OcrMuxException) first.failure).reason());
    Answers second = new Answers();
    stream.subscribe(second);
    assertInstanceOf(IllegalStateException.class, second.failure);
    Answers wrong = new Answers();
    client.streamRecognize(items("a")).subscribe(wrong);
    wrong.subscription.request(0);
    assertTrue(wrong.over.await(30, TimeUnit.SECONDS));
    assertInstanceOf(IllegalArgumentException.class, wrong.failure);
    stream.close();
  }

  /** Items are requested of a Publisher as there is room for them, never further. */
  @Test
  void itemsOfAPublisherAreRequestedOneByOne() {
    service.heldIds.add("*");
    AtomicLong requested = new AtomicLong();
    CountDownLatch cancelled = new CountDownLatch(1);
    Flow.Publisher<Item> endless =
        subscriber ->
            subscriber.onSubscribe(
                new Flow.Subscription() {
                  @Override
                  public void request(long count) {
                    long number = requested.addAndGet(count);
                    subscriber.onNext(item("item-" + number, "x"));
                  }

                  @Override
                  public void cancel() {
                    cancelled.countDown();
                  }
                });
    Answers answers = new Answers();
    client.streamRecognize(endless, ReadingConfig.defaults(), fast().concurrency(3).build()).subscribe(answers);
    answers.subscription.request(1);
    await(() -> service.received.size() == 3);
    roundTrip();
    assertEquals(3, requested.get());
    answers.subscription.cancel();
    await(() -> cancelled.getCount() == 0);
  }

  /** A Publisher's items are read to its end, and its error is the stream's. */
  @Test
  void aPublishersEndAndErrorAreTheStreams() {
    try (SubmissionPublisher<Item> items = new SubmissionPublisher<>()) {
      AnswerStream answers = client.streamRecognize(items, ReadingConfig.defaults(), fast().build());
      Answers taken = new Answers();
      answers.subscribe(taken);
      taken.subscription.request(Long.MAX_VALUE);
      await(items::hasSubscribers);
      numbered(30).forEach(items::submit);
      await(() -> taken.told.size() == 30);
      items.closeExceptionally(new IOException("the archive is damaged"));
      await(() -> taken.over.getCount() == 0);
      assertInstanceOf(IOException.class, taken.failure);
      answers.close();
    }
    Flow.Publisher<Item> failing =
        subscriber -> {
          subscriber.onSubscribe(
              new Flow.Subscription() {
                @Override
                public void request(long count) {}

                @Override
                public void cancel() {}
              });
          subscriber.onError(new IOException("the archive is gone"));
        };
    CompletionException wrapped =
        assertThrows(CompletionException.class, () -> told(client.streamRecognize(failing)));
    assertInstanceOf(IOException.class, wrapped.getCause());
  }
}
