package io.ocrmux.client;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.ocrmux.ocr.v1.PageAnswer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Timeout;

/** A fake service, a client of it, and what tests of streams say again and again. */
@Timeout(60)
abstract class StreamTestCase {
  static final Backoff FAST = new Backoff(Duration.ofMillis(5), 2, Duration.ofMillis(20), 3);
  private static final Duration PATIENCE = Duration.ofSeconds(30);

  final FakePreprocess service = new FakePreprocess();
  final LoopbackServer server = LoopbackServer.of(service);
  final OcrMuxClient client = OcrMuxClient.builder(server.target()).backoff(FAST).build();

  /** Nothing of the client's is left at work, whatever the test did. */
  @AfterEach
  void everyThreadHasEnded() {
    try {
      await(() -> client.activeThreads() == 0);
    } finally {
      client.close();
      server.close();
    }
  }

  static StreamPolicy.Builder fast() {
    return StreamPolicy.builder().backoff(FAST);
  }

  static List<Item> items(String... contents) {
    List<Item> items = new ArrayList<>();
    for (String content : contents) {
      items.add(item("item-" + items.size(), content));
    }
    return items;
  }

  static Item item(String id, String content) {
    return Item.of(id, content.getBytes(StandardCharsets.UTF_8));
  }

  static List<Item> numbered(int count) {
    List<Item> items = new ArrayList<>();
    for (int number = 0; number < count; number++) {
      items.add(item("item-" + number, "content " + number));
    }
    return items;
  }

  List<String> read(List<Item> items, StreamPolicy.Builder policy) {
    return told(client.streamRecognize(items, ReadingConfig.defaults(), policy.build()));
  }

  /** Each answer as "id page text", or "id page REASON"; an item's last with a full stop. */
  static List<String> told(Iterable<PageAnswer> answers) {
    List<String> told = new ArrayList<>();
    answers.forEach(answer -> told.add(told(answer)));
    return told;
  }

  static String told(PageAnswer answer) {
    String outcome =
        OcrMuxException.of(answer)
            .map(OcrMuxException::reason)
            .orElseGet(() -> answer.getDocument().getPages(0).getText());
    return answer.getRequestId() + " " + answer.getPage() + " " + outcome + (answer.getLastPage() ? "." : "");
  }

  static String page(int item, int page, String content, boolean last) {
    return "item-" + item + " " + page + " " + FakePreprocess.digest(content) + (last ? "." : "");
  }

  static String only(int item, String content) {
    return page(item, 1, content, true);
  }

  /** Waits for the condition; fails where it does not come true. */
  static void await(BooleanSupplier condition) {
    long end = System.nanoTime() + PATIENCE.toNanos();
    while (!condition.getAsBoolean()) {
      assertTrue(System.nanoTime() < end, "what was waited for did not come");
      LockSupport.parkNanos(1_000_000);
    }
  }

  /** Returns once the server has read all that was written before on the same connection. */
  void roundTrip() {
    client.recognize("round trip".getBytes(StandardCharsets.UTF_8)).join();
  }
}
