package io.ocrmux.client;

import io.grpc.Status;
import io.ocrmux.ocr.v1.PageAnswer;
import io.ocrmux.preprocess.v1.RecognizeStreamConfig;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * One long run of many items over a stream that may break and be opened again; for use once. Sends items, gives their
 * answers, each page of each item exactly once. One thread drives it, see {@link DriverLock}.
 */
final class ItemStream {
  private static final Duration CONNECTING_LEAD = Duration.ofMillis(250);

  private final DriverLock driver = new DriverLock();
  private final ReentrantLock lock = driver.lock;
  private final Condition answered = lock.newCondition();
  private final Opener opener;
  private final StreamPolicy policy;
  private final RetryTiming timing;
  private final Register register;
  private final ExecutorService executor;
  private final ScheduledExecutorService scheduler;
  private final ItemSource source;
  private final ItemWindow window;
  private final ItemSender sender;
  private final ArrayDeque<PageAnswer> out = new ArrayDeque<>();
  private final StreamConnection.Reader reader = new AnswerReader();
  private StreamConnection connection;
  private Future<?> deadline;
  private boolean started;
  private boolean over;
  private Throwable failure;

  /** Makes calls. */
  interface Opener {

    /** Starts the call; does not wait. */
    void open(StreamConnection connection);

    /** Has what is not connected try at once. */
    void connectNow();
  }

  /** Makes the source, over the stream's lock and the condition to be signalled. */
  interface SourceMaker {
    ItemSource make(ReentrantLock lock, Condition changed);
  }

  /** Keeps count of the streams that run. */
  interface Register {
    void began(ItemStream stream);

    void ended(ItemStream stream);
  }

  ItemStream(
      Opener opener,
      RecognizeStreamConfig config,
      SourceMaker source,
      StreamPolicy policy,
      RetryTiming timing,
      Register register,
      ExecutorService executor,
      ScheduledExecutorService scheduler) {
    this.opener = opener;
    this.policy = policy;
    this.timing = timing;
    this.register = register;
    this.executor = executor;
    this.scheduler = scheduler;
    this.source = source.make(lock, driver.changed);
    this.window = new ItemWindow(policy, this::give);
    this.sender = new ItemSender(driver, config, policy, this.source, window, reader::hasRoom);
  }

  /** Waits until there is an answer, or the end: false. Throws what ended the stream, after the answers before it. */
  boolean awaitAnswer() throws Throwable {
    lock.lockInterruptibly();
    try {
      start();
      while (out.isEmpty() && !over) {
        answered.await();
      }
      if (out.isEmpty() && failure != null) {
        throw failure;
      }
      return !out.isEmpty();
    } finally {
      lock.unlock();
    }
  }

  /** The answer that is there, or null. */
  PageAnswer take() {
    lock.lock();
    try {
      PageAnswer answer = out.poll();
      if (connection != null && reader.hasRoom()) {
        connection.readOn();
      }
      driver.changed.signalAll();
      return answer;
    } finally {
      lock.unlock();
    }
  }

  /** Ends the stream from this side, if it has not ended: with this failure after the answers that came, or without. */
  void leave(Throwable cause) {
    lock.lock();
    try {
      if (cause == null) {
        out.clear();
      }
      if (!over) {
        finish(cause);
        source.close();
        if (connection != null) {
          connection.abandon(null);
        }
      }
    } finally {
      lock.unlock();
    }
  }

  private void start() {
    if (started || over) {
      return;
    }
    started = true;
    try {
      begin();
    } catch (RejectedExecutionException closed) {
      finish(new OcrMuxException(Status.Code.CANCELLED, "", "the client was closed"));
    }
  }

  private void begin() {
    register.began(this);
    policy.timeout().ifPresent(timeout -> {
      String message = "no end of the stream within " + Durations.told(timeout);
      OcrMuxException late = new OcrMuxException(Status.Code.DEADLINE_EXCEEDED, "", message);
      deadline = scheduler.schedule(() -> leave(late), Durations.toNanos(timeout), TimeUnit.NANOSECONDS);
    });
    executor.execute(this::drive);
  }

  private void give(PageAnswer answer) {
    if (!over) {
      out.add(answer);
      answered.signalAll();
    }
  }

  private void finish(Throwable cause) {
    if (over) {
      return;
    }
    over = true;
    failure = cause;
    if (deadline != null) {
      deadline.cancel(false);
    }
    register.ended(this);
    answered.signalAll();
    driver.leave();
  }

  private void drive() {
    lock.lock();
    try {
      runConnections();
      finish(null);
    } catch (DriverLock.Left left) {
      // whoever left has said why
    } catch (ItemSource.Failed failed) {
      finish(failed.getCause());
    } catch (RuntimeException | Error thrown) {
      finish(thrown);
    } finally {
      source.close();
      lock.unlock();
    }
  }

  private void runConnections() {
    int failures = 0;
    boolean isVain = false;
    while (hasWork()) {
      if (isVain) {
        pause(policy.backoff().waitAfter(failures + 1, Optional.empty(), timing.draw()));
      }
      OcrMuxException broken = runConnection();
      if (window.progress()) {
        failures = 0;
      }
      isVain = broken == null && !window.progress(); // closed before there was anything for it to answer
      if (broken == null) {
        continue;
      }
      failures++;
      if (failures > policy.backoff().attempts()) {
        throw broken;
      }
      Duration wait = policy.backoff().waitAfter(failures, broken.retryAfter(), timing.draw());
      Reconnect told = new Reconnect(failures, wait, broken);
      driver.unlocked(() -> {
        policy.onReconnect().accept(told);
        return null;
      });
      pause(wait);
    }
  }

  private boolean hasWork() {
    while (!window.hasWaiting()) {
      if (source.isExhausted()) {
        return false;
      }
      source.lookAhead();
      sender.admit();
      if (!window.hasWaiting() && !source.isExhausted()) {
        driver.awaitChange(Long.MAX_VALUE);
      }
    }
    return true;
  }

  /** One call from opening to end; gives what broke it, or null. Throws OcrMuxException if trying again is vain. */
  private OcrMuxException runConnection() {
    StreamConnection current = new StreamConnection(lock, driver.changed, reader);
    window.beginConnection();
    opener.open(current);
    connection = current;
    try {
      sender.write(current);
      while (true) {
        sender.awaitWord(current);
      }
    } catch (ItemSender.CallEnded ended) {
      return settle(current);
    } finally {
      connection = null;
      current.abandon(null);
    }
  }

  /** Puts unanswered items back into the waiting line; gives what broke the connection, or had items moved, or null. */
  private OcrMuxException settle(StreamConnection ended) {
    OcrMuxException broken = ended.failure();
    int left = window.unanswered();
    boolean tooEarly = window.hasWaiting() && window.movingCause() == null;
    if (broken == null && (left > 0 || tooEarly)) {
      String message = "the server ended the stream and left " + left + " of the items sent without an answer";
      broken = new OcrMuxException(Status.Code.UNAVAILABLE, OcrMuxException.CONNECTION_LOST, message);
    }
    if (broken != null && !ItemWindow.isPassing(broken)) {
      throw broken;
    }
    if (broken != null && ended.limits() != null && window.isEmpty()) {
      broken = null; // an idle connection was closed; nothing is lost by it
    }
    window.settle(broken);
    return broken != null ? broken : window.movingCause();
  }

  /** Waits before the next connection; what is not connected tries shortly before, so that the call finds it ready. */
  private void pause(Duration wait) {
    AtomicBoolean isOver = new AtomicBoolean();
    Duration lead = wait.compareTo(CONNECTING_LEAD) > 0 ? CONNECTING_LEAD : wait;
    Future<?> connecting = timing.after(wait.minus(lead), opener::connectNow);
    Future<?> ending =
        timing.after(
            wait,
            () -> {
              lock.lock();
              try {
                isOver.set(true);
                driver.changed.signalAll();
              } finally {
                lock.unlock();
              }
            });
    try {
      while (!isOver.get()) {
        driver.awaitChange(Long.MAX_VALUE);
      }
    } finally {
      connecting.cancel(false);
      ending.cancel(false);
    }
  }

  private final class AnswerReader implements StreamConnection.Reader {
    @Override
    public void take(PageAnswer answer) {
      window.take(answer);
    }

    @Override
    public boolean hasRoom() {
      return out.size() < policy.concurrency();
    }
  }
}
