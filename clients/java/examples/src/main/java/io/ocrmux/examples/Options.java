package io.ocrmux.examples;

import io.ocrmux.client.OcrMuxClient;
import io.ocrmux.client.StreamPolicy;
import io.ocrmux.client.Tls;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Optional;

/**
 * What the command line and the environment say.
 *
 * @param folder to be read
 * @param target of the preprocess service
 * @param concurrency items on their way, at most
 * @param digestFirst whether items are asked for by their digest first
 * @param caFile trusted certificates, PEM; empty: the connection is in the clear
 * @param token from OCRMUX_TOKEN
 */
record Options(
    Path folder, String target, int concurrency, boolean digestFirst, Optional<Path> caFile, Optional<String> token) {
  static final String USAGE =
      "usage: read-folder [--target HOST:PORT] [--concurrency N] [--digest-first] [--ca-file PEM] FOLDER\n"
          + "A token is taken from the environment: OCRMUX_TOKEN.";

  /** Throws IllegalArgumentException, with a sentence, for what cannot be done. */
  static Options of(String[] arguments, Optional<String> token) {
    Deque<String> left = new ArrayDeque<>(List.of(arguments));
    Path folder = null;
    String target = "localhost:50051";
    int concurrency = 8;
    boolean digestFirst = false;
    Optional<Path> caFile = Optional.empty();
    while (!left.isEmpty()) {
      String option = left.remove();
      try {
        switch (option) {
          case "--target" -> target = left.remove();
          case "--concurrency" -> concurrency = Integer.parseInt(left.remove());
          case "--digest-first" -> digestFirst = true;
          case "--ca-file" -> caFile = Optional.of(Path.of(left.remove()));
          default -> {
            if (option.startsWith("-")) {
              throw new IllegalArgumentException("there is no option " + option);
            }
            if (folder != null) {
              throw new IllegalArgumentException("one folder is read, not " + option + " too");
            }
            folder = Path.of(option);
          }
        }
      } catch (NoSuchElementException missing) {
        throw new IllegalArgumentException(option + " wants a value", missing);
      } catch (NumberFormatException wrong) {
        throw new IllegalArgumentException(option + " wants a number", wrong);
      }
    }
    if (folder == null || !Files.isDirectory(folder)) {
      throw new IllegalArgumentException(folder == null ? "which folder?" : folder + " is no folder");
    }
    return new Options(folder, target, concurrency, digestFirst, caFile, token);
  }

  /** Throws IOException for certificates that cannot be read, IllegalArgumentException for what makes no sense. */
  OcrMuxClient client() throws IOException {
    OcrMuxClient.Builder client = OcrMuxClient.builder(target);
    token.ifPresent(client::token);
    if (caFile.isPresent()) {
      client.tls(Tls.caFile(caFile.get()));
    }
    return client.build();
  }

  /** Throws IllegalArgumentException. */
  StreamPolicy policy() {
    return StreamPolicy.builder()
        .concurrency(concurrency)
        .digestFirst(digestFirst)
        .onReconnect(
            reconnect ->
                System.err.printf(
                    "no connection (%s); next try in %.1f s%n",
                    reconnect.cause().getMessage(), reconnect.pause().toMillis() / 1e3))
        .build();
  }
}
