package io.ocrmux.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Status;
import io.ocrmux.client.FakePreprocess.Break;
import io.ocrmux.ocr.v1.PageAnswer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** How a stream ends: by the server, by its source, by time, by its caller. */
final class StreamEndingTest extends StreamTestCase {

  /** Rule 3: answers that come backwards are given in the order of the items, or as they come. */
  @Test
  void orderIsTheCallersChoice() {
    service.backwards = true;
    assertEquals(List.of(only(0, "a"), only(1, "b"), only(2, "c")), read(items("a", "b", "c"), fast()));
    assertEquals(
        List.of(only(2, "c"), only(1, "b"), only(0, "a")), read(items("a", "b", "c"), fast().ordered(false)));
  }

  /** Rule 12: a refused stream is not tried again. */
  @Test
  void aRefusedStreamIsNotTriedAgain() {
    service.refusal = FakePreprocess.status(Status.Code.INVALID_ARGUMENT, "PROFILE_UNKNOWN");
    OcrMuxException thrown = assertThrows(OcrMuxException.class, () -> read(items("a"), fast()));
    assertEquals("PROFILE_UNKNOWN", thrown.reason());
    assertEquals(Status.Code.INVALID_ARGUMENT, thrown.code());
    assertEquals(1, service.streams.get());
  }

  /** Rule 12: the error of a stream comes after the answers that came before it. */
  @Test
  void answersComeBeforeTheErrorThatEndsThem() {
    service.breaks.add(new Break(2, FakePreprocess.status(Status.Code.PERMISSION_DENIED, "")));
    Iterator<PageAnswer> answers =
        client.streamRecognize(numbered(5), ReadingConfig.defaults(), fast().build()).iterator();
    assertEquals(only(0, "content 0"), told(answers.next()));
    assertEquals(only(1, "content 1"), told(answers.next()));
    assertEquals(Status.Code.PERMISSION_DENIED, assertThrows(OcrMuxException.class, answers::hasNext).code());
  }

  /** Rule 12: answers before the limits, and to items that nobody asked for, break the protocol. */
  @Test
  void aServerThatBreaksTheProtocolIsTold() {
    service.strayAnswers.add(FakePreprocess.failure("x", FakePreprocess.status(Status.Code.INTERNAL, "INTERNAL")));
    OcrMuxException early = assertThrows(OcrMuxException.class, () -> read(items("a"), fast()));
    assertEquals("PROTOCOL_BROKEN", early.reason());
    assertEquals(Status.Code.INTERNAL, early.code());
    service.strayIds.add("nobody");
    OcrMuxException stray = assertThrows(OcrMuxException.class, () -> read(items("a"), fast()));
    assertTrue(stray.getMessage().contains("'nobody'"));
    assertEquals(2, service.streams.get());
  }

  /** Rule 13: the time limit of the stream ends it, also while its source gives nothing and the server is silent. */
  @Test
  void theTimeLimitEndsTheStream() {
    service.heldIds.add("item-1");
    LinkedBlockingQueue<Item> queue = new LinkedBlockingQueue<>(items("a", "b"));
    QueuedItems source = new QueuedItems(queue);
    Iterator<PageAnswer> answers =
        client
            .streamRecognize(source, ReadingConfig.defaults(), fast().timeout(Duration.ofMillis(400)).build())
            .iterator();
    assertEquals(only(0, "a"), told(answers.next()));
    assertEquals(Status.Code.DEADLINE_EXCEEDED, assertThrows(OcrMuxException.class, answers::hasNext).code());
    await(() -> service.cancelled.getCount() == 0 && source.closed.getCount() == 0);
  }

  /** Rule 14: closing the handle cancels the call and closes the source, though that blocks. */
  @Test
  void leavingEarlyStopsTheWork() throws InterruptedException {
    service.heldIds.add("item-1");
    LinkedBlockingQueue<Item> queue = new LinkedBlockingQueue<>(items("a", "b"));
    QueuedItems source = new QueuedItems(queue);
    AnswerStream answers = client.streamRecognize(source);
    try (answers) {
      assertEquals(only(0, "a"), told(answers.iterator().next()));
    }
    assertTrue(service.cancelled.await(30, TimeUnit.SECONDS));
    assertTrue(source.closed.await(30, TimeUnit.SECONDS));
  }

  /** Rule 14: leaving in the middle of a large item's chunks leaves nothing behind. */
  @Test
  void leavingInTheMiddleOfAWriteStopsIt() throws InterruptedException {
    List<Item> items =
        IntStream.range(0, 6).mapToObj(number -> Item.of("item-" + number, new byte[20 << 20])).toList();
    try (AnswerStream answers = client.streamRecognize(items)) {
      CompletableFuture<Void> reading = CompletableFuture.runAsync(() -> answers.forEach(answer -> {}));
      await(() -> !service.chunked.isEmpty());
      answers.close();
      reading.join();
    }
    assertTrue(service.cancelled.await(30, TimeUnit.SECONDS));
  }

  /** A source that blocks holds up no answer. */
  @Test
  void answersFlowWhileTheSourceBlocks() {
    LinkedBlockingQueue<Item> queue = new LinkedBlockingQueue<>(items("a", "b"));
    try (AnswerStream answers = client.streamRecognize(new QueuedItems(queue))) {
      Iterator<PageAnswer> each = answers.iterator();
      assertEquals(only(0, "a"), told(each.next()));
      assertEquals(only(1, "b"), told(each.next()));
      queue.addAll(List.of(item("item-2", "c"), item("end", "")));
      assertEquals(only(2, "c"), told(each.next()));
      assertFalse(each.hasNext());
    }
  }

  /** What the source throws reaches the caller as it is, after the answers that came before. */
  @Test
  void theSourcesErrorReachesTheCaller() {
    IllegalStateException own = new IllegalStateException("the archive is damaged");
    Iterator<Item> items =
        IntStream.range(0, 10)
            .mapToObj(
                number -> {
                  if (number == 3) {
                    await(() -> service.answered.get() == 3);
                    throw own;
                  }
                  return item("item-" + number, "content " + number);
                })
            .iterator();
    List<String> told = new ArrayList<>();
    IllegalStateException thrown =
        assertThrows(
            IllegalStateException.class,
            () -> client.streamRecognize(items).forEach(answer -> told.add(told(answer))));
    assertSame(own, thrown);
    assertTrue(told.size() <= 3);
  }

  /** What the hook throws ends the stream. */
  @Test
  void theHooksErrorReachesTheCaller() {
    service.breaks.add(new Break(0, FakePreprocess.status(Status.Code.UNAVAILABLE, "")));
    IllegalStateException own = new IllegalStateException("enough");
    StreamPolicy.Builder policy =
        fast()
            .onReconnect(
                reconnect -> {
                  throw own;
                });
    assertSame(own, assertThrows(IllegalStateException.class, () -> read(items("a"), policy)));
  }

  /** A thread that is interrupted while it waits leaves the stream, and stays interrupted. */
  @Test
  void anInterruptedCallerLeaves() throws InterruptedException {
    service.heldIds.add("*");
    AtomicReference<Status.Code> code = new AtomicReference<>();
    AtomicReference<Boolean> interrupted = new AtomicReference<>();
    Thread caller =
        new Thread(
            () -> {
              try {
                read(items("a"), fast());
              } catch (OcrMuxException error) {
                code.set(error.code());
                interrupted.set(Thread.currentThread().isInterrupted());
              }
            });
    caller.start();
    await(() -> !service.received.isEmpty());
    caller.interrupt();
    caller.join();
    assertEquals(Status.Code.CANCELLED, code.get());
    assertTrue(interrupted.get());
    assertTrue(service.cancelled.await(30, TimeUnit.SECONDS));
  }

  /** Closing the client ends its streams and calls with CANCELLED. */
  @Test
  void closingTheClientEndsWhatRuns() {
    service.heldIds.add("*");
    CompletableFuture<List<String>> reading = CompletableFuture.supplyAsync(() -> read(items("a"), fast()));
    await(() -> !service.received.isEmpty());
    client.close();
    CompletionException thrown = assertThrows(CompletionException.class, reading::join);
    assertEquals(Status.Code.CANCELLED, ((OcrMuxException) thrown.getCause()).code());
    CompletionException late =
        assertThrows(CompletionException.class, () -> client.recognize(new byte[] {1}).join());
    assertEquals(Status.Code.CANCELLED, ((OcrMuxException) late.getCause()).code());
  }

  /** Answers are taken once. */
  @Test
  void aSecondIterationIsRefused() {
    AnswerStream answers = client.streamRecognize(items("a"));
    assertEquals(1, told(answers).size());
    assertThrows(IllegalStateException.class, answers::iterator);
    answers.close();
  }

  /** A handle that nobody takes answers from has begun nothing. */
  @Test
  void nothingBeginsBeforeTheFirstAnswerIsAskedFor() {
    try (AnswerStream answers = client.streamRecognize(items("a"))) {
      assertEquals(0, service.streams.get());
      answers.close();
      assertFalse(answers.iterator().hasNext());
    }
    assertEquals(0, service.streams.get());
  }
}
