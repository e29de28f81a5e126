package io.ocrmux.client;

import static java.util.Objects.requireNonNull;

import io.grpc.Deadline;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.ocrmux.gateway.v1.ListProvidersRequest;
import io.ocrmux.gateway.v1.ListProvidersResponse;
import io.ocrmux.gateway.v1.OcrGatewayServiceGrpc;
import io.ocrmux.preprocess.v1.PreprocessServiceGrpc;
import io.ocrmux.preprocess.v1.RecognizeRequest;
import io.ocrmux.preprocess.v1.RecognizeResponse;
import io.ocrmux.preprocess.v1.RecognizeStreamConfig;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.regex.Pattern;

/**
 * Reads images and documents through an ocrmux server. One client serves any number of threads; it connects when it is
 * first used, and its threads do not keep a program running.
 *
 * <p>Failures are {@link OcrMuxException}, which a {@link CompletableFuture} wraps as it does with all.
 */
public final class OcrMuxClient implements AutoCloseable {
  private static final Duration RECOGNIZE_TIMEOUT = Duration.ofMinutes(5);
  private static final Duration LIST_TIMEOUT = Duration.ofSeconds(30);
  private static final AtomicInteger THREADS = new AtomicInteger();

  private final ManagedChannel channel;
  private final ManagedChannel gatewayChannel;
  private final Backoff backoff;
  private final ThreadPoolExecutor executor =
      new ThreadPoolExecutor(0, Integer.MAX_VALUE, 10, TimeUnit.SECONDS, new SynchronousQueue<>(), daemons());
  private final ScheduledThreadPoolExecutor scheduler = new ScheduledThreadPoolExecutor(1, daemons());
  private final RetryTiming timing;
  private final RunningWork running = new RunningWork();

  private OcrMuxClient(Builder wanted) {
    Metadata metadata = wanted.metadata();
    backoff = wanted.backoff;
    scheduler.setRemoveOnCancelPolicy(true);
    timing = wanted.timing.apply(scheduler);
    Optional<String> gateway = Optional.ofNullable(wanted.gatewayTarget);
    gatewayChannel = // a gateway alone says nothing of the preprocess service's health
        Channels.open(
            gateway.orElse(wanted.target),
            wanted.tls,
            metadata,
            gateway.map(target -> OcrGatewayServiceGrpc.SERVICE_NAME));
    channel = Channels.open(wanted.target, wanted.tls, metadata, Optional.of(PreprocessServiceGrpc.SERVICE_NAME));
  }

  /**
   * A client of the preprocess service at this target: {@code host:port}, or any name that gRPC resolves, as
   * {@code dns:///ocr:50051} or {@code ipv4:10.0.0.1:50051,10.0.0.2:50051}.
   */
  public static Builder builder(String target) {
    return new Builder(target);
  }

  /** Reads one image or document, in 300 s at most. See {@link #recognize(Item, ReadingConfig, Duration)}. */
  public CompletableFuture<Reading> recognize(byte[] content) {
    return recognize(Content.of(content), ReadingConfig.defaults());
  }

  /** Reads one file, in 300 s at most. See {@link #recognize(Item, ReadingConfig, Duration)}. */
  public CompletableFuture<Reading> recognize(Path file) {
    return recognize(Content.of(file), ReadingConfig.defaults());
  }

  /** Reads one image or document, in 300 s at most. See {@link #recognize(Item, ReadingConfig, Duration)}. */
  public CompletableFuture<Reading> recognize(Content content, ReadingConfig config) {
    return recognize(new Item("whole", content, List.of(), ""), config, RECOGNIZE_TIMEOUT);
  }

  /**
   * Reads one image or document, all tries together within the time limit. Content above 3 MiB, or above a server's
   * lower limit on messages, goes in chunks over a stream. What is a lost connection to a stream is tried again as the
   * client's backoff says.
   *
   * <p>Completes with OcrMuxException for an item that cannot be read as a whole, or whose only page cannot; an error of
   * one page of several stands in the Reading. Cancelling the future cancels the call.
   */
  public CompletableFuture<Reading> recognize(Item item, ReadingConfig config, Duration timeout) {
    requireNonNull(item, "item");
    Deadline deadline = Deadline.after(Durations.toNanos(timeout), TimeUnit.NANOSECONDS);
    return running.track(new SingleReading(this, item, config, deadline).start(executor));
  }

  /** A unary reading, without chunks. */
  CompletableFuture<RecognizeResponse> recognizeWhole(RecognizeRequest request, Deadline deadline) {
    PreprocessServiceGrpc.PreprocessServiceFutureStub stub =
        PreprocessServiceGrpc.newFutureStub(channel).withDeadline(deadline);
    return new UnaryCall<>(
            () -> stub.recognize(request), backoff, timing, channel::resetConnectBackoff, deadline)
        .start();
  }

  /** The backoff of readings of one. */
  Backoff backoff() {
    return backoff;
  }

  /** Reads many items in order, 8 at a time. See {@link #streamRecognize(Iterable, ReadingConfig, StreamPolicy)}. */
  public AnswerStream streamRecognize(Iterable<Item> items) {
    return streamRecognize(items, ReadingConfig.defaults(), StreamPolicy.defaults());
  }

  /** Reads many items in order, 8 at a time. See {@link #streamRecognize(Iterable, ReadingConfig, StreamPolicy)}. */
  public AnswerStream streamRecognize(Iterator<Item> items) {
    return streamRecognize(items, ReadingConfig.defaults(), StreamPolicy.defaults());
  }

  /** Reads many items in order, 8 at a time. See {@link #streamRecognize(Iterable, ReadingConfig, StreamPolicy)}. */
  public AnswerStream streamRecognize(Flow.Publisher<Item> items) {
    return streamRecognize(items, ReadingConfig.defaults(), StreamPolicy.defaults());
  }

  /**
   * Reads many items over one stream, which is opened again when it breaks; gives one answer a page, each exactly once.
   *
   * <p>Every item is answered, with a document or a Status, also a file that cannot be read. An item is drawn only when
   * there is room for it in the window: {@code policy.concurrency()} items, fewer where the server's limits say so.
   *
   * <p>The items are stepped on a thread of the client's, which is interrupted when the stream is left; an iterator that
   * is AutoCloseable is closed on it at the end.
   */
  public AnswerStream streamRecognize(Iterable<Item> items, ReadingConfig config, StreamPolicy policy) {
    requireNonNull(items, "items");
    return stream((lock, changed) -> new IteratorSource(items, executor, lock, changed), config, policy);
  }

  /** Reads many items over one stream. See {@link #streamRecognize(Iterable, ReadingConfig, StreamPolicy)}. */
  public AnswerStream streamRecognize(Iterator<Item> items, ReadingConfig config, StreamPolicy policy) {
    requireNonNull(items, "items");
    return streamRecognize((Iterable<Item>) () -> items, config, policy);
  }

  /**
   * Reads many items over one stream. They are requested one at a time, as there is room for them; when the stream is
   * left, the subscription is cancelled. See {@link #streamRecognize(Iterable, ReadingConfig, StreamPolicy)}.
   */
  public AnswerStream streamRecognize(
      Flow.Publisher<Item> items, ReadingConfig config, StreamPolicy policy) {
    requireNonNull(items, "items");
    return stream((lock, changed) -> new PublisherSource(items, executor, lock, changed), config, policy);
  }

  /** Every provider that the gateway knows, with its limits and its state now; within 30 s. */
  public CompletableFuture<ListProvidersResponse> listProviders() {
    return listProviders(LIST_TIMEOUT);
  }

  /** Every provider that the gateway knows, with its limits and its state now, all tries within the time limit. */
  public CompletableFuture<ListProvidersResponse> listProviders(Duration timeout) {
    Deadline deadline = Deadline.after(Durations.toNanos(timeout), TimeUnit.NANOSECONDS);
    OcrGatewayServiceGrpc.OcrGatewayServiceFutureStub stub =
        OcrGatewayServiceGrpc.newFutureStub(gatewayChannel).withDeadline(deadline);
    UnaryCall<ListProvidersResponse> call =
        new UnaryCall<>(
            () -> stub.listProviders(ListProvidersRequest.getDefaultInstance()),
            backoff,
            timing,
            gatewayChannel::resetConnectBackoff,
            deadline);
    return running.track(call.start());
  }

  /** Closes the connections; what still runs ends with CANCELLED. */
  @Override
  public void close() {
    running.end(new OcrMuxException(Status.Code.CANCELLED, "", "the client was closed"));
    channel.shutdownNow();
    gatewayChannel.shutdownNow();
    scheduler.shutdownNow();
    executor.shutdown();
  }

  /** Threads of the client's that have something to do. */
  int activeThreads() {
    return executor.getActiveCount();
  }

  private AnswerStream stream(ItemStream.SourceMaker source, ReadingConfig config, StreamPolicy policy) {
    RecognizeStreamConfig streamConfig =
        RecognizeStreamConfig.newBuilder()
            .setRecognition(config.recognition())
            .setNormalization(config.normalization())
            .setBatchedAnswers(true)
            .build();
    ItemStream.Opener opener =
        new ItemStream.Opener() {
          @Override
          public void open(StreamConnection connection) {
            PreprocessServiceGrpc.newStub(channel).streamRecognize(connection);
          }

          @Override
          public void connectNow() {
            channel.resetConnectBackoff();
          }
        };
    ItemStream stream =
        new ItemStream(opener, streamConfig, source, policy, timing, running, executor, scheduler);
    return new AnswerStream(stream, executor);
  }

  private static ThreadFactory daemons() {
    return task -> {
      Thread thread = new Thread(task, "ocrmux-" + THREADS.incrementAndGet());
      thread.setDaemon(true);
      return thread;
    };
  }

  /** Says where the server is, and who asks. */
  public static final class Builder {
    private static final Metadata.Key<String> AUTHORIZATION =
        Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);
    private static final Metadata.Key<String> TENANT =
        Metadata.Key.of("ocrmux-tenant", Metadata.ASCII_STRING_MARSHALLER);
    private static final Pattern HEADER_TEXT = Pattern.compile("[!-~]([ -~]*[!-~])?");

    private final String target;
    private String gatewayTarget;
    private Optional<Tls> tls = Optional.empty();
    private String token;
    private String tenant;
    private Backoff backoff = Backoff.defaults().withAttempts(4);
    private Function<ScheduledExecutorService, RetryTiming> timing = RetryTiming::of;

    private Builder(String target) {
      this.target = requireNonNull(target, "target");
    }

    /** The gateway, which is asked for its providers; else the target itself is, whatever its health. */
    public Builder gatewayTarget(String address) {
      gatewayTarget = requireNonNull(address);
      return this;
    }

    /** Connects by TLS; else in the clear. */
    public Builder tls(Tls trust) {
      tls = Optional.of(trust);
      return this;
    }

    /** Sent as {@code authorization: Bearer …} with every call; without TLS only to a loopback target. */
    public Builder token(String bearer) {
      token = headerText("token", bearer);
      return this;
    }

    /** Whose items these are: sent as {@code ocrmux-tenant}. */
    public Builder tenant(String name) {
      tenant = headerText("tenant", name);
      return this;
    }

    /** Waits between tries of readings of one and of listings; four failures in a row are borne if nothing is said. */
    public Builder backoff(Backoff waits) {
      backoff = requireNonNull(waits);
      return this;
    }

    Builder timing(RetryTiming ofTests) {
      timing = unused -> ofTests;
      return this;
    }

    /**
     * The client; connects to nothing yet. Throws IllegalArgumentException for a token that would go in the clear to
     * another machine, and for a target (such as a URL) or certificates that make no sense.
     */
    public OcrMuxClient build() {
      TargetAddress.requireNoUrl(target);
      TargetAddress.requireNoUrl(gatewayTarget == null ? target : gatewayTarget);
      boolean local =
          TargetAddress.isLoopback(target) && (gatewayTarget == null || TargetAddress.isLoopback(gatewayTarget));
      if (token != null && tls.isEmpty() && !local) {
        throw new IllegalArgumentException("a token goes over TLS only, but to a loopback target");
      }
      return new OcrMuxClient(this);
    }

    private Metadata metadata() {
      Metadata metadata = new Metadata();
      if (token != null) {
        metadata.put(AUTHORIZATION, "Bearer " + token);
      }
      if (tenant != null) {
        metadata.put(TENANT, tenant);
      }
      return metadata;
    }

    private static String headerText(String name, String text) {
      if (!HEADER_TEXT.matcher(text).matches()) {
        throw new IllegalArgumentException("a " + name + " is one line of printable ASCII characters");
      }
      return text;
    }
  }
}
