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
      content = ItemMessages.load(item, UNARY_MAX_BYTES + 1L);
    } catch (ItemRefused refusal) {
      result.completeExceptionally(new OcrMuxException(refusal.status()));
      return;
    }
    if (content.size() > UNARY_MAX_BYTES) {
      readInChunks();
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
        complete(response.getAnswersList());
      } else if (error instanceof OcrMuxException refusal && isMessageLimit(refusal)) {
        run(executor, this::readInChunks);
      } else {
        result.completeExceptionally(error);
      }
    });
    result.whenComplete((reading, error) -> call.cancel(false));
  }

  private void readInChunks() {
    StreamPolicy policy =
        StreamPolicy.builder()
            .concurrency(1)
            .backoff(client.backoff())
            .sendsPerItem(client.backoff().attempts() + 1) // the backoff alone says when it is given up
            .timeout(Duration.ofNanos(Math.max(1, deadline.timeRemaining(TimeUnit.NANOSECONDS))))
            .build();
    List<PageAnswer> pages = new ArrayList<>();
    try (AnswerStream answers = client.streamRecognize(List.of(item), config, policy)) {
      result.whenComplete((reading, error) -> answers.close());
      answers.forEach(pages::add);
    }
    complete(pages);
  }

  /** An error of the item as a whole, or of its only page, is the call's. */
  private void complete(List<PageAnswer> answers) {
    if (answers.isEmpty()) {
      String message = "the server gave no answer";
      result.completeExceptionally(
          new OcrMuxException(Status.Code.INTERNAL, OcrMuxException.PROTOCOL_BROKEN, message));
      return;
    }
    answers.stream()
        .filter(answer -> answer.hasError() && (answers.size() == 1 || answer.getPage() == 0))
        .findFirst()
        .ifPresentOrElse(
            answer -> result.completeExceptionally(new OcrMuxException(answer.getError())),
            () -> result.complete(new Reading(answers)));
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
