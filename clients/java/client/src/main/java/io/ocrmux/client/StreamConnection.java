package io.ocrmux.client;

import io.grpc.Status;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientResponseObserver;
import io.ocrmux.ocr.v1.PageAnswer;
import io.ocrmux.ocr.v1.StreamLimits;
import io.ocrmux.preprocess.v1.StreamRecognizeRequest;
import io.ocrmux.preprocess.v1.StreamRecognizeResponse;
import java.util.List;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.Lock;

/**
 * One call of a stream, from opening to end. Responses are requested one by one, and only while the stream has room for
 * answers. Used with the stream's lock held, but for {@link #send} and what gRPC calls.
 */
final class StreamConnection implements ClientResponseObserver<StreamRecognizeRequest, StreamRecognizeResponse> {
  private final Lock lock;
  private final Condition changed;
  private final Reader reader;
  private ClientCallStreamObserver<StreamRecognizeRequest> call;
  private StreamLimits limits;
  private OcrMuxException failure;
  private boolean ended;
  private boolean readingHeld;
  private long lastWordNanos = System.nanoTime();

  /** Takes answers, with the lock held. */
  interface Reader {

    /** Takes an answer. Throws OcrMuxException for a breach of protocol. */
    void take(PageAnswer answer);

    /** Whether there is room for more. */
    boolean hasRoom();
  }

  /** {@code changed}, of this lock, is signalled with whatever happens to the call. */
  StreamConnection(Lock lock, Condition changed, Reader reader) {
    this.lock = lock;
    this.changed = changed;
    this.reader = reader;
  }

  @Override
  public void beforeStart(ClientCallStreamObserver<StreamRecognizeRequest> given) {
    call = given;
    given.disableAutoRequestWithInitial(1);
    given.setOnReadyHandler(() -> locked(() -> {}));
  }

  @Override
  public void onNext(StreamRecognizeResponse response) {
    locked(() -> {
      if (ended) {
        return;
      }
      lastWordNanos = System.nanoTime();
      try {
        read(response);
      } catch (OcrMuxException breach) {
        end(breach);
        return;
      }
      readingHeld = !reader.hasRoom();
      if (!readingHeld) {
        call.request(1);
      }
    });
  }

  @Override
  public void onError(Throwable thrown) {
    locked(() -> end(OcrMuxException.ofCall(thrown)));
  }

  @Override
  public void onCompleted() {
    locked(() -> end(null));
  }

  /** The server's limits, or null until they have come. */
  StreamLimits limits() {
    return limits;
  }

  boolean hasEnded() {
    return ended;
  }

  /** What broke the call, or null where it ended well or has not ended. */
  OcrMuxException failure() {
    return failure;
  }

  boolean isReady() {
    return call.isReady();
  }

  /** When something was last heard of the server, or an item sent to it, by System.nanoTime. */
  long lastWordNanos() {
    return lastWordNanos;
  }

  /** Whether answers wait at the server because the caller takes none here: its silence is ours then. */
  boolean isReadingHeld() {
    return readingHeld;
  }

  /** Counts the silence from now. */
  void hush() {
    lastWordNanos = System.nanoTime();
  }

  /** Reads on, where the reading was held up. */
  void readOn() {
    if (readingHeld && !ended) {
      readingHeld = false;
      hush();
      call.request(1);
    }
  }

  /** Hands a message to gRPC. Without the lock: it is encoded here. Throws IllegalStateException after the end. */
  void send(StreamRecognizeRequest request) {
    call.onNext(request);
  }

  void halfClose() {
    call.onCompleted();
  }

  /** Ends the call from this side, for this reason; null: nobody asks. */
  void abandon(OcrMuxException reason) {
    end(reason);
    call.cancel("left", null);
  }

  private void read(StreamRecognizeResponse response) {
    if (response.hasLimits() == (limits != null)) {
      throw broken(response.hasLimits() ? "the server sent its limits twice" : "the server answered before its limits");
    }
    switch (response.getMessageCase()) {
      case LIMITS -> limits = response.getLimits();
      case ANSWER -> reader.take(response.getAnswer());
      case BATCH -> takeAll(response.getBatch().getAnswersList());
      case MESSAGE_NOT_SET ->
          throw broken("the server sent a message that is neither an answer nor a batch of them");
    }
  }

  private void takeAll(List<PageAnswer> answers) {
    answers.forEach(reader::take);
  }

  private void end(OcrMuxException reason) {
    if (!ended) {
      ended = true;
      failure = reason;
    }
  }

  private void locked(Runnable change) {
    lock.lock();
    try {
      change.run();
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  private static OcrMuxException broken(String message) {
    return new OcrMuxException(Status.Code.INTERNAL, OcrMuxException.PROTOCOL_BROKEN, message);
  }
}
