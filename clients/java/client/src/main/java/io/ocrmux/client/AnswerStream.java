package io.ocrmux.client;

import static java.util.Objects.requireNonNull;

import io.grpc.Status;
import io.ocrmux.ocr.v1.PageAnswer;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;
import java.util.concurrent.Flow;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * The answers of a stream: one a page, each exactly once, the item's last one marked. Taken once, either by iterating,
 * which blocks until an answer is there, or by one Subscriber, whose demand is honoured. Nothing is sent before.
 *
 * <p>Answers stop with an {@link OcrMuxException} when the server refuses the stream as a whole, stays away for longer
 * than the backoff bears, or the time limit is over; with an IllegalArgumentException when two items on their way have
 * one id; and with what the source of items threw. The answers that came before are given first.
 *
 * <p>Whoever may leave before the end closes it (try-with-resources): that cancels the call, and so the work on the
 * server that nobody else waits for.
 */
public final class AnswerStream implements Iterable<PageAnswer>, Flow.Publisher<PageAnswer>, AutoCloseable {
  private final ItemStream stream;
  private final Executor executor;
  private final AtomicBoolean used = new AtomicBoolean();
  private volatile AnswerPump pump;

  AnswerStream(ItemStream stream, Executor executor) {
    this.stream = stream;
    this.executor = executor;
  }

  /**
   * The answers, blocking; for one thread at a time. A thread that is interrupted while it waits leaves the stream with
   * CANCELLED. Throws IllegalStateException if the answers are being taken already.
   */
  @Override
  public Iterator<PageAnswer> iterator() {
    use();
    return new Answers();
  }

  /** Gives the answers on a thread of the client's, as many as are requested. Cancelling leaves the stream. */
  @Override
  public void subscribe(Flow.Subscriber<? super PageAnswer> subscriber) {
    requireNonNull(subscriber, "subscriber");
    if (!used.compareAndSet(false, true)) {
      subscriber.onSubscribe(new AnswerPump(new Answers(), subscriber, () -> {}));
      subscriber.onError(new IllegalStateException("the answers of a stream are taken once"));
      return;
    }
    pump = new AnswerPump(new Answers(), subscriber, this::close);
    subscriber.onSubscribe(pump);
    try {
      executor.execute(pump);
    } catch (RejectedExecutionException closed) {
      subscriber.onError(new OcrMuxException(Status.Code.CANCELLED, "", "the client was closed"));
    }
  }

  /** Ends the stream, if it has not ended, and waits for nothing. There are no more answers then. */
  @Override
  public void close() {
    stream.leave(null);
    AnswerPump pumping = pump;
    if (pumping != null) {
      pumping.end();
    }
  }

  private void use() {
    if (!used.compareAndSet(false, true)) {
      throw new IllegalStateException("the answers of a stream are taken once");
    }
  }

  private final class Answers implements Iterator<PageAnswer> {
    @Override
    public boolean hasNext() {
      try {
        return stream.awaitAnswer();
      } catch (InterruptedException interrupted) {
        close();
        Thread.currentThread().interrupt();
        throw new OcrMuxException(Status.Code.CANCELLED, "", "interrupted while waiting for an answer");
      } catch (RuntimeException | Error thrown) {
        throw thrown;
      } catch (Throwable checked) {
        throw new CompletionException(checked);
      }
    }

    @Override
    public PageAnswer next() {
      PageAnswer answer = hasNext() ? stream.take() : null;
      if (answer == null) {
        throw new NoSuchElementException();
      }
      return answer;
    }
  }
}
