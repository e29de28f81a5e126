package io.ocrmux.client;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.InsecureServerCredentials;
import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import io.ocrmux.gateway.v1.ListProvidersRequest;
import io.ocrmux.gateway.v1.ListProvidersResponse;
import io.ocrmux.gateway.v1.OcrGatewayServiceGrpc;
import io.ocrmux.gateway.v1.Provider;
import io.ocrmux.client.FakePreprocess.Break;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** Readings of one, and the listing of providers. */
final class RecognizeTest extends StreamTestCase {
  private static final OcrGatewayServiceGrpc.OcrGatewayServiceImplBase GATEWAY =
      new OcrGatewayServiceGrpc.OcrGatewayServiceImplBase() {
        @Override
        public void listProviders(ListProvidersRequest request, StreamObserver<ListProvidersResponse> response) {
          response.onNext(
              ListProvidersResponse.newBuilder().addProviders(Provider.newBuilder().setName("fake")).build());
          response.onCompleted();
        }
      };

  private static OcrMuxException failure(CompletableFuture<?> call) {
    CompletionException thrown = assertThrows(CompletionException.class, call::join);
    return assertInstanceOf(OcrMuxException.class, thrown.getCause());
  }

  /** All pages are in the Reading; an error of the item as a whole is the call's, with what the server said. */
  @Test
  void aReadingHasThePagesOrFails() {
    Reading reading = client.recognize("pages=2".getBytes(UTF_8)).join();
    String text = FakePreprocess.digest("pages=2");
    assertEquals(text + "\f" + text, reading.text());
    assertTrue(reading.errors().isEmpty());
    OcrMuxException error = failure(client.recognize("error=IMAGE_EMPTY".getBytes(UTF_8)));
    assertEquals(Status.Code.INVALID_ARGUMENT, error.code());
    assertEquals("IMAGE_EMPTY", error.reason());
    assertEquals("as the test wants it", error.description());
    assertEquals("INVALID_ARGUMENT IMAGE_EMPTY: as the test wants it", error.getMessage());
    assertEquals(1, error.details().getDetailsCount());
    assertEquals(0, service.streams.get());
  }

  /** Above 3 MiB content goes in chunks over a stream, with the same result and the same configuration. */
  @Test
  void largeContentGoesInChunks() {
    byte[] large = new byte[(3 << 20) + 1];
    ReadingConfig config = ReadingConfig.builder().profile("none").build();
    assertEquals(FakePreprocess.digest(large), client.recognize(Content.of(large), config).join().text());
    assertEquals(1, service.streams.get());
    assertEquals("none", service.configs.get(0).getNormalization().getProfile());
    assertEquals(FakePreprocess.digest(new byte[3 << 20]), client.recognize(new byte[3 << 20]).join().text());
    assertEquals(1, service.streams.get());
  }

  /** A unary call that gRPC refuses for its size is made again as a stream, whatever the server's limit is. */
  @Test
  void contentAboveTheServersMessagesGoesInChunks() {
    service.limits = service.limits.toBuilder().setMaxMessageBytes(100_000).build();
    try (LoopbackServer narrow = new LoopbackServer(InsecureServerCredentials.create(), 100_000, service);
        OcrMuxClient narrowed = OcrMuxClient.builder(narrow.target()).build()) {
      assertEquals(FakePreprocess.digest(new byte[300_000]), narrowed.recognize(new byte[300_000]).join().text());
    }
    assertEquals(List.of("whole"), service.chunked);
  }

  /** What is a lost connection to a stream is tried again as often as the backoff says; what is final is not. */
  @Test
  void passingFailuresAreTriedAgain() {
    service.unaryFailures.add(FakePreprocess.status(Status.Code.UNAVAILABLE, "PROVIDER_UNAVAILABLE"));
    service.unaryFailures.add(FakePreprocess.status(Status.Code.RESOURCE_EXHAUSTED, "SERVER_BUSY"));
    service.unaryFailures.add(FakePreprocess.status(Status.Code.CANCELLED, ""));
    assertEquals(FakePreprocess.digest("a"), client.recognize("a".getBytes(UTF_8)).join().text());
    assertEquals(4, service.unaryRequests.size());
    service.unaryRequests.clear();
    service.unaryFailures.add(FakePreprocess.status(Status.Code.INTERNAL, ""));
    assertEquals(FakePreprocess.digest("a"), client.recognize("a".getBytes(UTF_8)).join().text());
    assertEquals(2, service.unaryRequests.size());
    service.unaryRequests.clear();
    service.unaryFailures.addAll(
        Collections.nCopies(4, FakePreprocess.status(Status.Code.UNAVAILABLE, "DRAINING", Duration.ofMillis(1))));
    OcrMuxException error = failure(client.recognize("a".getBytes(UTF_8)));
    assertEquals(Duration.ofMillis(1), error.retryAfter().orElseThrow());
    assertEquals(FAST.attempts() + 1, service.unaryRequests.size());
    service.unaryRequests.clear();
    service.unaryFailures.add(FakePreprocess.status(Status.Code.RESOURCE_EXHAUSTED, "TENANT_QUOTA"));
    assertEquals("TENANT_QUOTA", failure(client.recognize("a".getBytes(UTF_8))).reason());
    assertEquals(1, service.unaryRequests.size());
  }

  /** The time limit holds for all tries together, the waits between them too. */
  @Test
  void theTimeLimitHoldsForAllTries() {
    com.google.rpc.Status busy =
        FakePreprocess.status(Status.Code.RESOURCE_EXHAUSTED, "SERVER_BUSY", Duration.ofMinutes(1));
    service.unaryFailures.addAll(Collections.nCopies(5, busy));
    try (OcrMuxClient patient = OcrMuxClient.builder(server.target()).build()) {
      Item item = item("one", "a");
      OcrMuxException error =
          failure(patient.recognize(item, ReadingConfig.defaults(), Duration.ofMillis(300)));
      assertEquals(Status.Code.DEADLINE_EXCEEDED, error.code());
    }
    service.heldIds.add("*");
    Item large = Item.of("two", new byte[4 << 20]);
    OcrMuxException late = failure(client.recognize(large, ReadingConfig.defaults(), Duration.ofMillis(300)));
    assertEquals(Status.Code.DEADLINE_EXCEEDED, late.code());
  }

  /** Cancelling the future cancels the call, also one in chunks. */
  @Test
  void cancellingTheFutureCancelsTheCall() throws InterruptedException {
    service.heldIds.add("*");
    CompletableFuture<Reading> reading = client.recognize(new byte[4 << 20]);
    await(() -> !service.received.isEmpty());
    assertTrue(reading.cancel(true));
    assertTrue(service.cancelled.await(30, TimeUnit.SECONDS));
  }

  /** A file is read by its path; one that cannot be read is NOT_FOUND. */
  @Test
  void aMissingFileIsNotFound(@TempDir Path folder) {
    OcrMuxException error = failure(client.recognize(folder.resolve("gone.png")));
    assertEquals(Status.Code.NOT_FOUND, error.code());
    assertEquals(OcrMuxException.SOURCE_UNREADABLE, error.reason());
    assertTrue(error.metadata().get("path").endsWith("gone.png"));
  }

  /** Providers are listed by the gateway's own address. */
  @Test
  void providersAreListed() {
    try (LoopbackServer gateways = LoopbackServer.of(GATEWAY);
        OcrMuxClient both =
            OcrMuxClient.builder(server.target()).gatewayTarget(gateways.target()).build()) {
      assertEquals("fake", both.listProviders().join().getProviders(0).getName());
      assertEquals(FakePreprocess.digest("a"), both.recognize("a".getBytes(UTF_8)).join().text());
    }
    assertEquals(Status.Code.UNIMPLEMENTED, failure(client.listProviders()).code());
  }

  /** Without a gateway's address providers are asked of the target, also where no preprocess service is healthy. */
  @Test
  void aGatewayAloneIsAsked() {
    try (LoopbackServer gateways = LoopbackServer.of(GATEWAY);
        OcrMuxClient alone = OcrMuxClient.builder(gateways.target()).backoff(FAST).build()) {
      assertEquals("fake", alone.listProviders().join().getProviders(0).getName());
      assertEquals(Status.Code.UNAVAILABLE, failure(alone.recognize("a".getBytes(UTF_8))).code());
    }
  }

  /** The error of an only page is the call's, in one call and in chunks; one page's of several stands at that page. */
  @Test
  void theErrorOfAnOnlyPageIsTheCalls() {
    for (int size : new int[] {1, 4 << 20}) {
      service.failedPage = 1;
      assertEquals("PROVIDER_UNAVAILABLE", failure(client.recognize(new byte[size])).reason());
    }
    service.failedPage = 2;
    Reading reading = client.recognize("pages=2".getBytes(UTF_8)).join();
    assertEquals(Set.of(2), reading.errors().keySet());
  }

  /** In chunks, as many failures are borne as in one call. */
  @Test
  void chunksAreTriedAgainAsOften() {
    Break lost = new Break(0, FakePreprocess.status(Status.Code.INTERNAL, ""));
    Backoff five = FAST.withAttempts(5);
    try (OcrMuxClient patient = OcrMuxClient.builder(server.target()).backoff(five).build()) {
      service.breaks.addAll(Collections.nCopies(5, lost));
      byte[] large = new byte[4 << 20];
      assertEquals(FakePreprocess.digest(large), patient.recognize(large).join().text());
      service.breaks.addAll(Collections.nCopies(6, lost));
      assertEquals(Status.Code.INTERNAL, failure(patient.recognize(large)).code());
    }
    assertEquals(12, service.streams.get());
  }

  /** A file without an end is over the limit; no more of it is read. */
  @Test
  @EnabledOnOs({OS.LINUX, OS.MAC})
  void aFileWithoutAnEndIsTooLarge() {
    assertEquals("IMAGE_TOO_LARGE_BYTES", failure(client.recognize(Path.of("/dev/zero"))).reason());
    for (boolean digestFirst : new boolean[] {false, true}) {
      List<Item> endless = List.of(Item.of("endless", Path.of("/dev/zero")));
      assertEquals(List.of("endless 0 IMAGE_TOO_LARGE_BYTES."), read(endless, fast().digestFirst(digestFirst)));
    }
  }

  /** What is asked of a closed client ends with CANCELLED. */
  @Test
  void aClosedClientAnswersNothing() {
    client.close();
    assertEquals(Status.Code.CANCELLED, failure(client.listProviders()).code());
    assertEquals(Status.Code.CANCELLED, failure(client.recognize(new byte[1])).code());
  }
}
