package io.ocrmux.client;

import io.grpc.Status;
import java.net.SocketException;
import java.security.cert.CertificateException;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** What lies beneath a call that ended: gRPC's "io exception" alone does not tell a closed port from a wrong CA. */
final class FailureCause {
  private static final int DEPTH_MAX = 20; // causes may go in a circle
  private static final Pattern PIPELINE = Pattern.compile("\\s*Channel Pipeline: \\[[^\\]]*]");
  private static final Pattern SYSTEM_CALL = Pattern.compile("^\\w+\\(\\.\\.\\) failed( with error\\(-?\\d+\\))?: ");
  private static final Pattern BYTES_INSTEAD = Pattern.compile("^(not an SSL/TLS record): \\p{XDigit}+$");

  private FailureCause() {}

  /** The ending's description, then the innermost cause's message unless that stands in it; empty without either. */
  static Optional<String> described(Status ending) {
    String description = ending.getDescription() == null ? "" : ending.getDescription();
    String told = PIPELINE.matcher(description).replaceAll("");
    String cause = innermost(ending.getCause());
    if (told.contains(cause)) {
      return Optional.of(told).filter(words -> !words.isEmpty());
    }
    return Optional.of(told.isEmpty() ? cause : told + ": " + cause);
  }

  private static String innermost(Throwable outermost) {
    List<Throwable> causes =
        Stream.iterate(outermost, Objects::nonNull, Throwable::getCause)
            .limit(DEPTH_MAX)
            .filter(cause -> cause.getMessage() != null)
            .toList();
    if (causes.isEmpty()) {
      return "";
    }
    String message =
        causes.stream()
            .filter(SocketException.class::isInstance) // the outermost of these has the address too
            .findFirst()
            .orElse(causes.get(causes.size() - 1))
            .getMessage();
    String words = BYTES_INSTEAD.matcher(SYSTEM_CALL.matcher(message).replaceFirst("")).replaceFirst("$1");
    boolean isOfCertificate = causes.stream().anyMatch(CertificateException.class::isInstance);
    return isOfCertificate ? "the server's certificate is not trusted: " + words : words;
  }
}
