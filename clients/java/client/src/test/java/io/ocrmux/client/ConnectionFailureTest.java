package io.ocrmux.client;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.NameResolver;
import io.grpc.NameResolverProvider;
import io.grpc.NameResolverRegistry;
import io.grpc.Status;
import io.grpc.TlsServerCredentials;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.CompletionException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a client says where it cannot be made, or reaches nobody. */
@Timeout(60)
final class ConnectionFailureTest {
  private static final Backoff ONCE = Backoff.defaults().withAttempts(0);
  private final FakePreprocess service = new FakePreprocess();

  /** Where nothing listens, the error names the refusal and the address, on one line. */
  @Test
  void aClosedPortIsNamed() {
    String target;
    try (LoopbackServer server = LoopbackServer.of(service)) {
      target = server.target();
    }
    String told = failure(target, Optional.empty()).getMessage();
    assertTrue(told.startsWith("UNAVAILABLE: io exception: Connection refused"), told);
    assertTrue(told.endsWith(": /" + target), told);
  }

  /** A stream's hook hears the cause as well. */
  @Test
  void aStreamsHookHearsTheCause() {
    String target;
    try (LoopbackServer server = LoopbackServer.of(service)) {
      target = server.target();
    }
    try (OcrMuxClient client = OcrMuxClient.builder(target).build();
        AnswerStream answers =
            client.streamRecognize(
                StreamTestCase.items("a"),
                ReadingConfig.defaults(),
                StreamPolicy.builder().backoff(ONCE).build())) {
      OcrMuxException error = assertThrows(OcrMuxException.class, () -> StreamTestCase.told(answers));
      assertTrue(error.description().contains("Connection refused"), error.description());
    }
  }

  /** A server without TLS, and one of another CA, are told apart; pipelines and bytes are left out. */
  @Test
  void whatIsWrongWithTlsIsNamed(@TempDir Path folder) throws IOException {
    TestCertificate certificate = TestCertificate.make(folder);
    try (LoopbackServer server = LoopbackServer.of(service)) {
      assertEquals(
          "UNAVAILABLE: io exception: not an SSL/TLS record",
          failure(server.target(), Optional.of(Tls.caFile(certificate.chain()))).getMessage());
    }
    try (LoopbackServer server =
        new LoopbackServer(
            TlsServerCredentials.create(certificate.chain().toFile(), certificate.key().toFile()), 4 << 20, service)) {
      String untrusted = failure(server.target(), Optional.of(Tls.systemRoots())).getMessage();
      String prefix = "UNAVAILABLE: io exception: the server's certificate is not trusted: ";
      assertTrue(untrusted.startsWith(prefix), untrusted);
      assertFalse(untrusted.contains("\n") || untrusted.contains("Pipeline"), untrusted);
      assertTrue(untrusted.length() > prefix.length(), untrusted);
    }
  }

  /** The innermost cause counts; one that has been said, says nothing or goes in a circle does no harm. */
  @Test
  void causesAreToldOnce() {
    Status status = Status.UNAVAILABLE.withDescription("no route: gone");
    assertEquals("no route: gone", described(status));
    assertEquals("no route: gone", described(status.withCause(new IOException("gone"))));
    assertEquals("no route: gone", described(status.withCause(new IOException())));
    assertEquals("no route: gone: in", described(status.withCause(new IOException("out", new IOException("in")))));
    assertEquals("out", described(Status.UNAVAILABLE.withCause(new IOException("out", new IOException()))));
    assertEquals(Optional.empty(), FailureCause.described(Status.UNAVAILABLE));
    IOException first = new IOException("first");
    first.initCause(new IOException("second", first));
    assertTrue(described(status.withCause(first)).startsWith("no route: gone: "));
  }

  /** A URL is refused when the client is made, with or without a token, for the gateway too. */
  @ParameterizedTest
  @ValueSource(strings = {"http://localhost:50051", "HTTPS://ocr.example.org", "grpcs://127.0.0.1:1", "no-such:///x"})
  void aUrlIsRefused(String target) {
    OcrMuxClient.Builder local = OcrMuxClient.builder("localhost:1");
    for (OcrMuxClient.Builder builder :
        new OcrMuxClient.Builder[] {
          OcrMuxClient.builder(target), OcrMuxClient.builder(target).token("s3cret"), local.gatewayTarget(target)
        }) {
      IllegalArgumentException error = assertThrows(IllegalArgumentException.class, builder::build);
      assertEquals(
          "a target is HOST:PORT, or a name that gRPC resolves, not a URL: '" + target + "'", error.getMessage());
    }
  }

  /** What gRPC resolves stays, also by a provider of the program's own. */
  @ParameterizedTest
  @ValueSource(strings = {"ocr:50051", "dns:///ocr:50051", "ipv4:10.0.0.1:1", "ours://ocr"})
  void namesThatGrpcResolvesStay(String target) {
    NameResolverProvider ours = new Resolving();
    NameResolverRegistry.getDefaultRegistry().register(ours);
    try {
      OcrMuxClient.builder(target).gatewayTarget(target).build().close();
    } finally {
      NameResolverRegistry.getDefaultRegistry().deregister(ours);
    }
  }

  /** A PEM file that cannot be read is told with what it was for, its path and why. */
  @Test
  void anUnreadablePemFileIsNamed(@TempDir Path folder) throws IOException {
    Path gone = folder.resolve("gone.pem");
    Path there = TestCertificate.make(folder).chain();
    String why = " " + gone + " cannot be read: there is no such file";
    Tls tls = Tls.systemRoots();
    assertEquals("the CA file" + why, refused(() -> Tls.caFile(gone)));
    assertEquals("the client's certificate" + why, refused(() -> tls.withIdentity(gone, there)));
    assertEquals("the client's private key" + why, refused(() -> tls.withIdentity(there, gone)));
    assertTrue(refused(() -> Tls.caFile(folder)).startsWith("the CA file " + folder + " cannot be read: "));
  }

  private static String described(Status status) {
    return FailureCause.described(status).orElseThrow();
  }

  private static String refused(org.junit.jupiter.api.function.Executable reading) {
    return assertThrows(IOException.class, reading).getMessage();
  }

  private static OcrMuxException failure(String target, Optional<Tls> tls) {
    OcrMuxClient.Builder builder = OcrMuxClient.builder(target).backoff(ONCE);
    tls.ifPresent(builder::tls);
    try (OcrMuxClient client = builder.build()) {
      CompletionException thrown =
          assertThrows(CompletionException.class, () -> client.recognize("x".getBytes(UTF_8)).join());
      OcrMuxException error = assertInstanceOf(OcrMuxException.class, thrown.getCause());
      assertEquals(Status.Code.UNAVAILABLE, error.code());
      return error;
    }
  }

  /** Knows the scheme "ours". */
  private static final class Resolving extends NameResolverProvider {
    @Override
    public String getDefaultScheme() {
      return "ours";
    }

    @Override
    public NameResolver newNameResolver(URI target, NameResolver.Args args) {
      return new NameResolver() {
        @Override
        public String getServiceAuthority() {
          return target.getAuthority();
        }

        @Override
        public void shutdown() {}
      };
    }

    @Override
    protected boolean isAvailable() {
      return true;
    }

    @Override
    protected int priority() {
      return 0;
    }
  }
}
