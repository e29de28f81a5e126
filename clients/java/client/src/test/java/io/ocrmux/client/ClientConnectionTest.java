package io.ocrmux.client;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.TlsServerCredentials;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.ocrmux.preprocess.v1.PreprocessServiceGrpc;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CompletionException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Whom a client connects to, and what it says of itself. */
@Timeout(60)
final class ClientConnectionTest {
  private static final byte[] CONTENT = "x".getBytes(UTF_8);
  private final FakePreprocess service = new FakePreprocess();

  /** Token and tenant go with every call. */
  @Test
  void tokenAndTenantGoWithEveryCall() {
    try (LoopbackServer server = LoopbackServer.of(service);
        OcrMuxClient client =
            OcrMuxClient.builder(server.target()).token("s3cret").tenant("archive").build()) {
      client.recognize(CONTENT).join();
      StreamTestCase.told(client.streamRecognize(StreamTestCase.items("a")));
      assertEquals(2, server.metadata.size());
      for (Metadata metadata : server.metadata) {
        assertEquals("Bearer s3cret", text(metadata, "authorization"));
        assertEquals("archive", text(metadata, "ocrmux-tenant"));
      }
    }
  }

  /** A token without TLS is refused when the client is made, for any target that may be another machine. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "ocr.example.org:50051",
        "dns:///ocr:50051",
        "10.0.0.1:50051",
        "127.0.0.1.example.org:50051",
        "localhost.example.org:50051",
        "ipv4:127.0.0.1:50051,10.0.0.2:50051",
        "dns://10.0.0.1/localhost:50051",
        "127.evil.example:50051"
      })
  void aTokenInTheClearIsRefused(String target) {
    assertThrows(IllegalArgumentException.class, () -> OcrMuxClient.builder(target).token("s3cret").build());
    OcrMuxClient.builder(target).token("s3cret").tls(Tls.systemRoots()).build().close();
    assertThrows(
        IllegalArgumentException.class,
        () -> OcrMuxClient.builder("localhost:50051").gatewayTarget(target).token("s3cret").build());
  }

  /** To this machine itself a token goes in the clear too. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "localhost:50051",
        "127.0.0.1:50051",
        "127.1.2.3:50051",
        "[::1]:50051",
        "dns:///localhost:50051",
        "ipv4:127.0.0.1:50051,127.0.0.2:50051",
        "ipv6:[::1]:50051",
        "unix:/run/ocrmux.sock"
      })
  void aTokenGoesInTheClearToThisMachine(String target) {
    assertTrue(TargetAddress.isLoopback(target));
    OcrMuxClient.builder(target).token("s3cret").build().close();
  }

  /** What cannot stand in a header, and addresses that are none, are refused when the client is made. */
  @Test
  void whatMakesNoSenseIsRefused() {
    assertThrows(IllegalArgumentException.class, () -> OcrMuxClient.builder("localhost:1").token("a\nb"));
    assertThrows(IllegalArgumentException.class, () -> OcrMuxClient.builder("localhost:1").tenant(""));
    assertThrows(IllegalArgumentException.class, () -> OcrMuxClient.builder("ipv4:ocr:50051").build());
    assertThrows(
        IllegalArgumentException.class,
        () -> OcrMuxClient.builder("localhost:1").tls(Tls.ca("no certificate".getBytes(UTF_8))).build());
  }

  /** Calls go to all addresses in turn, and only to those whose health says SERVING. */
  @Test
  void callsGoRoundTheReplicasThatServe() {
    FakePreprocess second = new FakePreprocess();
    try (LoopbackServer one = LoopbackServer.of(service);
        LoopbackServer other = LoopbackServer.of(second);
        OcrMuxClient client =
            OcrMuxClient.builder("ipv4:" + one.target() + "," + other.target()).build()) {
      StreamTestCase.await(
          () -> {
            client.recognize(CONTENT).join();
            return !service.unaryRequests.isEmpty() && !second.unaryRequests.isEmpty();
          });
      one.health.setStatus(PreprocessServiceGrpc.SERVICE_NAME, ServingStatus.NOT_SERVING);
      StreamTestCase.await(
          () -> {
            int before = service.unaryRequests.size();
            for (int call = 0; call < 6; call++) {
              client.recognize(CONTENT).join();
            }
            return service.unaryRequests.size() == before;
          });
    }
  }

  /** A server that begins to serve only later is found within the backoff. */
  @Test
  void aServerThatDoesNotServeYetIsWaitedFor() {
    try (LoopbackServer server = LoopbackServer.of(service)) {
      server.health.setStatus(PreprocessServiceGrpc.SERVICE_NAME, ServingStatus.NOT_SERVING);
      Backoff patient = new Backoff(Duration.ofMillis(50), 1, Duration.ofMillis(50), 500);
      try (OcrMuxClient client = OcrMuxClient.builder(server.target()).build();
          AnswerStream answers =
              client.streamRecognize(
                  StreamTestCase.items("a"),
                  ReadingConfig.defaults(),
                  StreamPolicy.builder()
                      .backoff(patient)
                      .onReconnect(
                          reconnect ->
                              server.health.setStatus(PreprocessServiceGrpc.SERVICE_NAME, ServingStatus.SERVING))
                      .build())) {
        assertEquals(1, StreamTestCase.told(answers).size());
      }
    }
  }

  /** TLS trusts the certificates that it is given, and none else; a server may ask for the client's own. */
  @Test
  void tlsTrustsWhomItIsTold(@TempDir Path folder) throws IOException {
    TestCertificate certificate = TestCertificate.make(folder);
    TlsServerCredentials.Builder mutual =
        TlsServerCredentials.newBuilder()
            .keyManager(certificate.chain().toFile(), certificate.key().toFile())
            .trustManager(certificate.chain().toFile())
            .clientAuth(TlsServerCredentials.ClientAuth.REQUIRE);
    Backoff once = Backoff.defaults().withAttempts(0);
    try (LoopbackServer server = new LoopbackServer(mutual.build(), 4 << 20, service)) {
      String target = "localhost:" + server.port();
      Tls trust = Tls.caFile(certificate.chain());
      Tls known = trust.withIdentity(certificate.chain(), certificate.key());
      try (OcrMuxClient client = OcrMuxClient.builder(target).tls(known).token("s3cret").build()) {
        assertEquals(FakePreprocess.digest("x"), client.recognize(CONTENT).join().text());
      }
      for (Tls wrong : new Tls[] {trust, Tls.systemRoots()}) {
        try (OcrMuxClient client = OcrMuxClient.builder(target).tls(wrong).backoff(once).build()) {
          CompletionException thrown =
              assertThrows(CompletionException.class, () -> client.recognize(CONTENT).join());
          assertEquals(Status.Code.UNAVAILABLE, ((OcrMuxException) thrown.getCause()).code());
        }
      }
      assertEquals(1, service.unaryRequests.size());
      assertFalse(known.toString().contains("PRIVATE"));
    }
  }

  private static String text(Metadata metadata, String key) {
    return metadata.get(Metadata.Key.of(key, Metadata.ASCII_STRING_MARSHALLER));
  }
}
