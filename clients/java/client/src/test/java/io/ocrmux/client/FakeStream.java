package io.ocrmux.client;

import com.google.protobuf.ByteString;
import com.google.rpc.ErrorInfo;
import io.grpc.Status;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import io.ocrmux.ocr.v1.PageAnswer;
import io.ocrmux.preprocess.v1.RecognizeStreamConfig;
import io.ocrmux.preprocess.v1.SourceItem;
import io.ocrmux.preprocess.v1.StreamRecognizeRequest;
import io.ocrmux.preprocess.v1.StreamRecognizeResponse;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** One stream of the fake service: keeps the rules, and answers as the service says. gRPC and the test call it. */
final class FakeStream implements StreamObserver<StreamRecognizeRequest> {
  private final FakePreprocess service;
  private final ServerCallStreamObserver<StreamRecognizeResponse> responses;
  private final FakePreprocess.Break wanted;
  private final Set<String> ids = new HashSet<>();
  private final Set<String> inFlight = new HashSet<>();
  private final List<PageAnswer> ready = new ArrayList<>();
  private final List<PageAnswer> held = new ArrayList<>();
  private String chunkedId;
  private long chunkedBytes;
  private ByteString content = ByteString.EMPTY;
  private boolean configured;
  private boolean limitsSent;
  private boolean halfClosed;
  private boolean over;
  private int answers;

  FakeStream(
      FakePreprocess service,
      ServerCallStreamObserver<StreamRecognizeResponse> responses,
      FakePreprocess.Break wanted) {
    this.service = service;
    this.responses = responses;
    this.wanted = wanted;
    responses.setOnCancelHandler(this::cancelled);
    responses.setOnReadyHandler(this::flush);
  }

  @Override
  public synchronized void onNext(StreamRecognizeRequest request) {
    if (over) {
      return;
    }
    service.largestMessageBytes.accumulateAndGet(request.getSerializedSize(), Math::max);
    if (request.hasConfig() == configured) {
      breach(configured ? "CONFIG_REPEATED" : "CONFIG_MISSING");
    } else if (request.hasConfig()) {
      configure(request.getConfig());
    } else if (!limitsSent || request.getSerializedSize() > service.limits.getMaxMessageBytes()) {
      breach("MESSAGE_UNEXPECTED");
    } else if (request.hasChunk() != (chunkedId != null)) {
      breach("CHUNKS_MISMATCHED");
    } else if (request.hasChunk()) {
      chunk(request.getChunk().getRequestId(), request.getChunk().getData());
    } else if (request.hasBatch()) {
      service.itemsTogether.add(request.getBatch().getItemsCount());
      request.getBatch().getItemsList().forEach(this::item);
    } else {
      item(request.getItem());
    }
    flush();
  }

  @Override
  public void onError(Throwable lost) {
    // the cancel handler has been told
  }

  @Override
  public synchronized void onCompleted() {
    halfClosed = true;
    if (chunkedId != null) {
      breach("CHUNKS_MISMATCHED");
    }
    flush();
  }

  /** Sends what was held. */
  synchronized void release() {
    if (configured && !over) {
      sendLimits();
      ready.addAll(held);
      held.clear();
      flush();
    }
  }

  private void cancelled() {
    synchronized (this) {
      over = true;
    }
    service.cancelled.countDown();
  }

  private void configure(RecognizeStreamConfig config) {
    configured = true;
    service.configs.add(config);
    if (service.refusal != null) {
      end(service.refusal);
      return;
    }
    PageAnswer stray = service.strayAnswers.poll();
    if (stray != null) {
      send(List.of(stray));
    }
    if (!service.limitsHeld) {
      sendLimits();
    }
    String strayId = service.strayIds.poll();
    if (strayId != null) {
      send(List.of(FakePreprocess.failure(strayId, FakePreprocess.status(Status.Code.INTERNAL, "INTERNAL"))));
    }
    if (wanted != null && wanted.afterAnswers() < 0) {
      end(wanted.status());
    }
  }

  private void sendLimits() {
    if (!limitsSent) {
      limitsSent = true;
      responses.onNext(StreamRecognizeResponse.newBuilder().setLimits(service.limits).build());
    }
  }

  private void item(SourceItem item) {
    String id = item.getRequestId();
    if (id.isEmpty() || !ids.add(id)) {
      breach("DUPLICATE_REQUEST_ID");
      return;
    }
    service.received.add(id);
    service.items.add(item);
    inFlight.add(id);
    service.mostInFlight.accumulateAndGet(inFlight.size(), Math::max);
    if (inFlight.size() > service.limits.getMaxItemsInFlight()) {
      breach("MESSAGE_UNEXPECTED");
    } else if (wanted != null && wanted.afterAnswers() == 0) {
      end(wanted.status());
    } else {
      switch (item.getImage().getSourceCase()) {
        case CONTENT -> answer(id, service.answersFor(id, item.getImage().getContent()));
        case DIGEST -> byDigest(id, item.getImage().getDigest().getValue());
        case CHUNKED -> announce(id, item.getImage().getChunked().getTotalBytes());
        case SOURCE_NOT_SET -> breach("PAYLOAD_MISSING");
      }
    }
  }

  private void byDigest(String id, ByteString digest) {
    if (service.knownDigests.contains(digest)) {
      answer(id, service.answersFor(id, ByteString.copyFromUtf8("known")));
    } else {
      ids.remove(id);
      answer(id, List.of(FakePreprocess.failure(id, FakePreprocess.status(Status.Code.NOT_FOUND, "CONTENT_REQUIRED"))));
    }
  }

  private void announce(String id, long totalBytes) {
    service.chunked.add(id);
    chunkedId = id;
    chunkedBytes = totalBytes;
    content = ByteString.EMPTY;
  }

  private void chunk(String id, ByteString data) {
    content = content.concat(data);
    if (!id.equals(chunkedId) || content.size() > chunkedBytes) {
      breach("CHUNKS_MISMATCHED");
    } else if (content.size() == chunkedBytes) {
      chunkedId = null;
      answer(id, service.answersFor(id, content));
    }
  }

  private void answer(String id, List<PageAnswer> pages) {
    List<PageAnswer> answered = pages;
    if (service.moves.getOrDefault(id, 0) > 0) {
      service.moves.merge(id, -1, Integer::sum);
      answered = List.of(FakePreprocess.failure(id, FakePreprocess.status(Status.Code.UNAVAILABLE, "DRAINING")));
    }
    boolean isHeld = service.heldIds.contains(id) || service.heldIds.contains("*");
    (isHeld ? held : ready).addAll(answered);
  }

  private synchronized void flush() {
    if (over || (service.backwards && !halfClosed)) {
      return;
    }
    if (service.backwards) {
      ready.sort(Comparator.comparingInt(answer -> -service.received.lastIndexOf(answer.getRequestId())));
    }
    while (!over && !ready.isEmpty() && responses.isReady()) {
      List<PageAnswer> next = ready.subList(0, Math.min(service.answersTogether, ready.size()));
      List<PageAnswer> together = List.copyOf(next);
      next.clear();
      send(together);
    }
    if (halfClosed && held.isEmpty() && ready.isEmpty()) {
      end(null);
    }
  }

  private void send(List<PageAnswer> together) {
    StreamRecognizeResponse.Builder response = StreamRecognizeResponse.newBuilder();
    if (together.size() == 1) {
      response.setAnswer(together.get(0));
    } else {
      response.getBatchBuilder().addAllAnswers(together);
    }
    together.stream().filter(PageAnswer::getLastPage).forEach(answer -> inFlight.remove(answer.getRequestId()));
    responses.onNext(response.build());
    answers += together.size();
    service.answered.addAndGet(together.size());
    if (wanted != null && wanted.afterAnswers() > 0 && answers >= wanted.afterAnswers()) {
      end(wanted.status());
    }
  }

  private void breach(String reason) {
    end(FakePreprocess.status(Status.Code.INVALID_ARGUMENT, reason));
  }

  private void end(com.google.rpc.Status status) {
    if (over) {
      return;
    }
    over = true;
    if (status == null) {
      responses.onCompleted();
    } else if (status.getDetailsList().stream().anyMatch(detail -> detail.is(ErrorInfo.class))) {
      responses.onError(StatusProto.toStatusRuntimeException(status));
    } else {
      Status bare = Status.fromCodeValue(status.getCode()).withDescription(status.getMessage());
      responses.onError(bare.asRuntimeException());
    }
  }
}
