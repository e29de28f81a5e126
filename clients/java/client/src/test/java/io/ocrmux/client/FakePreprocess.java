package io.ocrmux.client;

import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import com.google.rpc.RetryInfo;
import io.grpc.Status;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import io.ocrmux.ocr.v1.CacheOutcome;
import io.ocrmux.ocr.v1.Document;
import io.ocrmux.ocr.v1.Page;
import io.ocrmux.ocr.v1.PageAnswer;
import io.ocrmux.ocr.v1.Provenance;
import io.ocrmux.ocr.v1.StreamLimits;
import io.ocrmux.preprocess.v1.PreprocessServiceGrpc;
import io.ocrmux.preprocess.v1.RecognizeRequest;
import io.ocrmux.preprocess.v1.RecognizeResponse;
import io.ocrmux.preprocess.v1.RecognizeStreamConfig;
import io.ocrmux.preprocess.v1.SourceItem;
import io.ocrmux.preprocess.v1.StreamRecognizeRequest;
import io.ocrmux.preprocess.v1.StreamRecognizeResponse;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A preprocess service that reads nothing, and is as strict about its streams as the real one: any breach of protocol
 * ends them. What an item's answer is, its content says: {@code pages=N} gives N pages, {@code error=REASON} a refusal, else
 * one page with the content's digest as its text.
 */
final class FakePreprocess extends PreprocessServiceGrpc.PreprocessServiceImplBase {

  /**
   * How a stream ends too early: after so many answers (0: when the first item has come, -1: after its limits), with this
   * status; null: with OK.
   */
  record Break(int afterAnswers, com.google.rpc.Status status) {}

  // How it behaves.
  volatile StreamLimits limits =
      StreamLimits.newBuilder()
          .setMaxItemsInFlight(16)
          .setMaxBytesInFlight(64 << 20)
          .setMaxItemBytes(32 << 20)
          .setMaxMessageBytes(2 << 20)
          .build();
  volatile boolean backwards; // after the half-close, the last item first
  volatile boolean limitsHeld;
  volatile int answersTogether = 1;
  volatile int rawBytes; // of each page
  volatile int failedPage; // of each item
  volatile com.google.rpc.Status refusal;
  final Queue<Break> breaks = new ConcurrentLinkedQueue<>();
  final Queue<com.google.rpc.Status> unaryFailures = new ConcurrentLinkedQueue<>();
  final Map<String, Integer> moves = new ConcurrentHashMap<>();
  final Set<String> heldIds = ConcurrentHashMap.newKeySet(); // "*": all
  final Set<ByteString> knownDigests = ConcurrentHashMap.newKeySet();
  final Queue<PageAnswer> strayAnswers = new ConcurrentLinkedQueue<>(); // before the limits
  final Queue<String> strayIds = new ConcurrentLinkedQueue<>(); // answered after the limits
  volatile boolean shrinking; // from the second stream on items have one page

  // What it has seen.
  final List<String> received = new CopyOnWriteArrayList<>();
  final List<String> chunked = new CopyOnWriteArrayList<>();
  final List<Integer> itemsTogether = new CopyOnWriteArrayList<>();
  final List<RecognizeStreamConfig> configs = new CopyOnWriteArrayList<>();
  final List<RecognizeRequest> unaryRequests = new CopyOnWriteArrayList<>();
  final List<SourceItem> items = new CopyOnWriteArrayList<>();
  final AtomicInteger streams = new AtomicInteger();
  final AtomicInteger answered = new AtomicInteger();
  final AtomicInteger mostInFlight = new AtomicInteger();
  final AtomicLong largestMessageBytes = new AtomicLong();
  final CountDownLatch cancelled = new CountDownLatch(1);
  private final List<FakeStream> open = new CopyOnWriteArrayList<>();

  static String digest(byte[] content) {
    return HexFormat.of().formatHex(sha256(content)).substring(0, 16);
  }

  static String digest(String content) {
    return digest(content.getBytes(StandardCharsets.UTF_8));
  }

  static byte[] sha256(byte[] content) {
    try {
      return MessageDigest.getInstance("SHA-256").digest(content);
    } catch (NoSuchAlgorithmException impossible) {
      throw new AssertionError(impossible);
    }
  }

  /** A Status as the services make it; an empty reason: as gRPC itself makes it. */
  static com.google.rpc.Status status(Status.Code code, String reason) {
    return OcrMuxException.status(code, reason, "as the test wants it", Map.of());
  }

  static com.google.rpc.Status status(Status.Code code, String reason, Duration retryAfter) {
    RetryInfo retry = RetryInfo.newBuilder().setRetryDelay(Durations.toProto(retryAfter)).build();
    return status(code, reason).toBuilder().addDetails(Any.pack(retry)).build();
  }

  static PageAnswer failure(String id, com.google.rpc.Status status) {
    return PageAnswer.newBuilder().setRequestId(id).setLastPage(true).setError(status).build();
  }

  /** Lets all held items, and held limits, go. */
  void release() {
    heldIds.clear();
    limitsHeld = false;
    open.forEach(FakeStream::release);
  }

  @Override
  public void recognize(RecognizeRequest request, StreamObserver<RecognizeResponse> response) {
    unaryRequests.add(request);
    com.google.rpc.Status failure = unaryFailures.poll();
    List<PageAnswer> answers =
        answersFor(request.getItem().getRequestId(), request.getItem().getImage().getContent());
    if (failure == null && answers.get(0).getPage() == 0) {
      failure = answers.get(0).getError();
    }
    if (failure != null) {
      response.onError(StatusProto.toStatusRuntimeException(failure));
      return;
    }
    response.onNext(RecognizeResponse.newBuilder().addAllAnswers(answers).build());
    response.onCompleted();
  }

  @Override
  public StreamObserver<StreamRecognizeRequest> streamRecognize(StreamObserver<StreamRecognizeResponse> responses) {
    streams.incrementAndGet();
    ServerCallStreamObserver<StreamRecognizeResponse> call =
        (ServerCallStreamObserver<StreamRecognizeResponse>) responses;
    FakeStream stream = new FakeStream(this, call, breaks.poll());
    open.add(stream);
    return stream;
  }

  List<PageAnswer> answersFor(String id, ByteString content) {
    String told = content.size() > 100 ? "" : content.toStringUtf8();
    if (told.startsWith("error=")) {
      return List.of(failure(id, status(Status.Code.INVALID_ARGUMENT, told.substring(6))));
    }
    boolean isOne = shrinking && streams.get() > 1;
    int count = told.startsWith("pages=") && !isOne ? Integer.parseInt(told.substring(6)) : 1;
    List<PageAnswer> pages = new ArrayList<>();
    for (int page = 1; page <= count; page++) {
      if (page == failedPage) {
        com.google.rpc.Status failed = status(Status.Code.UNAVAILABLE, "PROVIDER_UNAVAILABLE");
        pages.add(failure(id, failed).toBuilder().setPage(page).setLastPage(page == count).build());
        continue;
      }
      pages.add(
          PageAnswer.newBuilder()
              .setRequestId(id)
              .setPage(page)
              .setPageCount(count)
              .setLastPage(page == count)
              .setDocument(
                  Document.newBuilder()
                      .addPages(Page.newBuilder().setNumber(page).setText(digest(content.toByteArray()))))
              .setRawResponse(ByteString.copyFrom(new byte[rawBytes]))
              .setProvenance(
                  Provenance.newBuilder().setProvider("fake").setCache(CacheOutcome.CACHE_OUTCOME_MISS).setAttempts(1))
              .build());
    }
    return pages;
  }
}
