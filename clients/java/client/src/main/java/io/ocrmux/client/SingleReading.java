package io.ocrmux.client;

import com.google.protobuf.ByteString;
import io.grpc.Deadline;
import io.grpc.Status;
import io.ocrmux.ocr.v1.ImagePayload;
import io.ocrmux.ocr.v1.PageAnswer;
import io.ocrmux.preprocess.v1.RecognizeRequest;
import io.ocrmux.preprocess.v1.RecognizeResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;

/** The reading of one item: by a unary call where it fits one, else in chunks over a stream. */
final class SingleReading {
  private static final int UNARY_MAX_BYTES = 3 << 20;

  private final OcrMuxClient client;
  private final Item item;
  private final ReadingConfig config;
  private final Deadline deadline;
  private final CompletableFuture<Reading> result = new CompletableFuture<>();

  SingleReading(OcrMuxClient client, Item item, ReadingConfig config, Deadline deadline) {
    this.client = client;
    this.item = item;
    this.config = config;
    this.deadline = deadline;
  }

  /** The reading, or OcrMuxException. Files are read, and streams waited for, on the executor. */
  CompletableFuture<Reading> start(Executor executor) {
    run(executor, () -> begin(executor));
    return result;
  }

  private void begin(Executor executor) {
    ByteString content;
    try {
      content = ItemMessages.load(item);
    } catch (ItemRefused refusal) {
      result.completeExceptionally(new OcrMuxException(refusal.status()));
      return;
    }
    if (content.size() > UNARY_MAX_BYTES) {
      readInChunks(content);
      return;
    }
    RecognizeRequest request =
        RecognizeRequest.newBuilder()
            .setRecognition(config.recognition())
            .setNormalization(config.normalization())
            .setItem(ItemMessages.sourceItem(item, ImagePayload.newBuilder().setContent(content).build()))
            .build();
    CompletableFuture<RecognizeResponse> call = client.recognizeWhole(request, deadline);
    call.whenComplete((response, error) -> {
      if (error == null) {
        result.complete(new Reading(response.getAnswersList()));
      } else if (error instanceof OcrMuxException refusal && isMessageLimit(refusal)) {
        run(executor, () -> readInChunks(content));
      } else {
        result.completeExceptionally(error);
      }
    });
    result.whenComplete((reading, error) -> call.cancel(false));
  }

  private void readInChunks(ByteString content) {
    StreamPolicy policy =
        StreamPolicy.builder()
            .concurrency(1)
            .backoff(client.backoff())
            .timeout(Duration.ofNanos(Math.max(1, deadline.timeRemaining(TimeUnit.NANOSECONDS))))
            .build();
    Item loaded = new Item(item.requestId(), new Content.Bytes(content), item.regions(), item.password());
    List<PageAnswer> pages = new ArrayList<>();
    try (AnswerStream answers = client.streamRecognize(List.of(loaded), config, policy)) {
      result.whenComplete((reading, error) -> answers.close());
      answers.forEach(pages::add);
    }
    if (pages.size() == 1 && pages.get(0).hasError()) {
      throw new OcrMuxException(pages.get(0).getError());
    }
    result.complete(new Reading(pages));
  }

  private void run(Executor executor, Runnable step) {
    Runnable guarded = () -> {
      try {
        step.run();
      } catch (RuntimeException | Error thrown) {
        result.completeExceptionally(thrown);
      }
    };
    try {
      executor.execute(guarded);
    } catch (RejectedExecutionException closed) {
      result.completeExceptionally(new OcrMuxException(Status.Code.CANCELLED, "", "the client was closed"));
    }
  }

  /** Whether gRPC itself refused a message for its size, before any service saw it. */
  private static boolean isMessageLimit(OcrMuxException error) {
    boolean tooLarge = error.code() == Status.Code.RESOURCE_EXHAUSTED && error.reason().isEmpty();
    String message = error.description();
    return tooLarge && (message.contains("larger than max") || message.contains("exceeds maximum size"));
  }
}
