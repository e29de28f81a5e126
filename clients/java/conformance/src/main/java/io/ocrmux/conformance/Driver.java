package io.ocrmux.conformance;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.ocrmux.client.AnswerStream;
import io.ocrmux.client.Item;
import io.ocrmux.client.OcrMuxClient;
import io.ocrmux.client.OcrMuxException;
import io.ocrmux.ocr.v1.PageAnswer;
import java.io.BufferedReader;
import java.io.FileOutputStream;
import java.io.FileDescriptor;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/** Runs one scenario with the Java client and writes what happened, see {@code tests/conformance/README.md}. */
public final class Driver {
  private static final Duration CALL_TIMEOUT = Duration.ofMinutes(5);

  private final Scenario scenario;
  private final Events events;
  private final DrawnItems items;
  private final HeapPeak heap = new HeapPeak();

  private Driver(Scenario scenario, Events events) throws IOException {
    this.scenario = scenario;
    this.events = events;
    this.items = new DrawnItems(scenario.items(), events, scenario.tellsDrawn());
  }

  /** Runs the scenario in the file of this name. Exit status 0 once the end is written, 2 for a fault of the driver's. */
  public static void main(String[] arguments) {
    if (arguments.length != 1) {
      System.err.println("usage: conformance FILE");
      System.exit(2);
    }
    try {
      PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), false, UTF_8);
      new Driver(Scenario.read(Path.of(arguments[0])), new Events(out)).run();
    } catch (IOException | RuntimeException fault) {
      fault.printStackTrace();
      System.exit(2);
    }
    System.exit(0);
  }

  private void run() throws IOException {
    heap.watch();
    try (OcrMuxClient client = scenario.client()) {
      boolean left = call(client);
      end(left ? "CANCELLED" : "OK", "", "", Optional.empty());
    } catch (OcrMuxException error) {
      end(error.code().name(), error.reason(), error.description(), error.retryAfter());
    } catch (IllegalArgumentException usage) {
      end("INVALID_ARGUMENT", "USAGE", String.valueOf(usage.getMessage()), Optional.empty());
    }
  }

  private void end(String code, String reason, String message, Optional<Duration> retryAfter) {
    events.end(code, reason, message, retryAfter, items.count(), heap.bytes());
  }

  private boolean call(OcrMuxClient client) throws IOException {
    switch (scenario.call()) {
      case "list_providers" ->
          events.providers(result(client.listProviders(scenario.timeout().orElse(CALL_TIMEOUT))));
      case "recognize" -> {
        Item item = items.iterator().next();
        result(client.recognize(item, scenario.config(), scenario.timeout().orElse(CALL_TIMEOUT)))
            .answers()
            .forEach(events::answer);
      }
      case "stream" -> {
        return stream(client);
      }
      default -> throw new IllegalStateException("no call of the name " + scenario.call());
    }
    return false;
  }

  /** Whether the stream was left early. */
  private boolean stream(OcrMuxClient client) throws IOException {
    BufferedReader input = new BufferedReader(new InputStreamReader(System.in, UTF_8));
    try (AnswerStream answers =
        client.streamRecognize(items, scenario.config(), scenario.policy(events::reconnect))) {
      int count = 0;
      for (PageAnswer answer : answers) {
        events.answer(answer);
        count++;
        if (scenario.cancelAfter().orElse(-1) == count) {
          return true;
        }
        if (scenario.holdAfter().orElse(-1) == count) {
          events.drawn(items.count());
          events.holding();
          input.readLine();
        }
      }
    }
    return false;
  }

  private static <T> T result(CompletableFuture<T> call) {
    try {
      return call.join();
    } catch (CompletionException wrapped) {
      if (wrapped.getCause() instanceof RuntimeException error) {
        throw error;
      }
      throw wrapped;
    }
  }
}
