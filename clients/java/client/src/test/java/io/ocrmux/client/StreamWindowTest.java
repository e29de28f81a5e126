package io.ocrmux.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import io.ocrmux.ocr.v1.PageAnswer;
import io.ocrmux.ocr.v1.StreamLimits;
import io.ocrmux.preprocess.v1.RecognizeStreamConfig;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What goes up a stream, when, and in which messages. */
final class StreamWindowTest extends StreamTestCase {

  /** Rule 1: the config goes first, with batched answers and unordered, and no item before the limits have come. */
  @Test
  void nothingFollowsTheConfigUntilTheLimitsHaveCome() {
    service.limitsHeld = true;
    CompletableFuture<List<String>> answers = CompletableFuture.supplyAsync(() -> read(items("a", "b"), fast()));
    await(() -> !service.configs.isEmpty());
    roundTrip();
    assertTrue(service.received.isEmpty());
    service.release();
    assertEquals(List.of(only(0, "a"), only(1, "b")), answers.join());
    RecognizeStreamConfig config = service.configs.get(0);
    assertTrue(config.getBatchedAnswers());
    assertFalse(config.getOrdered());
  }

  /** What the caller wants stands in the config and at the item. */
  @Test
  void theConfigurationAndRegionsReachTheServer() {
    ReadingConfig config =
        ReadingConfig.builder()
            .features(Feature.ID_DOCUMENT)
            .idDocument(IdDocument.PASSPORT)
            .provider("fake")
            .languages("de", "fr")
            .cache(CacheUse.REFRESH)
            .priority(Priority.HIGH)
            .itemTimeout(Duration.ofMillis(1500))
            .profile("none")
            .build();
    Item item = item("ünï-身份", "x").withRegions(List.of(new Region(1, 2, 3, 4))).withPassword("open");
    assertEquals(1, told(client.streamRecognize(List.of(item), config, fast().build())).size());
    RecognizeStreamConfig sent = service.configs.get(0);
    assertEquals("fake", sent.getRecognition().getProvider());
    assertEquals(List.of("de", "fr"), sent.getRecognition().getLanguagesList());
    assertEquals(Durations.toProto(Duration.ofMillis(1500)), sent.getRecognition().getItemTimeout());
    assertEquals(io.ocrmux.ocr.v1.IdDocument.ID_DOCUMENT_PASSPORT, sent.getRecognition().getIdDocument());
    assertEquals("none", sent.getNormalization().getProfile());
    assertEquals("ünï-身份", service.items.get(0).getRequestId());
    assertEquals(3, service.items.get(0).getRegions(0).getWidth());
    assertEquals("open", service.items.get(0).getPassword());
  }

  /** Rule 2: never more items are on their way than caller or server allow, and none is drawn before there is room. */
  @ParameterizedTest
  @CsvSource({"3, 16, 3", "8, 2, 2"})
  void theWindowIsTheSmallerOfBothLimits(int concurrency, int serverMax, int expected) {
    service.limits = service.limits.toBuilder().setMaxItemsInFlight(serverMax).build();
    service.heldIds.add("*");
    AtomicInteger drawn = new AtomicInteger();
    Iterator<Item> items =
        IntStream.range(0, 20)
            .mapToObj(number -> item("item-" + number, "x" + drawn.incrementAndGet()))
            .iterator();
    try (AnswerStream answers =
        client.streamRecognize(items, ReadingConfig.defaults(), fast().concurrency(concurrency).build())) {
      CompletableFuture<List<String>> all = CompletableFuture.supplyAsync(() -> told(answers));
      await(() -> service.mostInFlight.get() == expected);
      roundTrip();
      assertEquals(expected, drawn.get());
      service.release();
      assertEquals(20, all.join().size());
    }
    assertEquals(expected, service.mostInFlight.get());
  }

  /** Rule 2: items wait while the announced bytes are taken; one larger than all of it goes alone. */
  @Test
  void bytesOnTheirWayStayWithinTheServersLimit() {
    service.limits = service.limits.toBuilder().setMaxBytesInFlight(1000).build();
    List<String> answers = read(items("a".repeat(600), "b".repeat(600), "c".repeat(5000), "d"), fast());
    assertEquals(4, answers.size());
    assertEquals(1, service.mostInFlight.get());
  }

  /** Rule 3: no more than 64 items are started while the oldest holds back their answers. */
  @Test
  void theOldestUnfinishedItemBoundsThoseStarted() {
    service.heldIds.add("item-0");
    CompletableFuture<List<String>> answers = CompletableFuture.supplyAsync(() -> read(numbered(200), fast()));
    await(() -> service.received.size() == 64);
    roundTrip();
    assertEquals(64, service.received.size());
    service.release();
    List<String> all = answers.join();
    assertEquals(200, all.size());
    assertEquals(only(0, "content 0"), all.get(0));
    assertEquals(only(199, "content 199"), all.get(199));
  }

  /** Rule 4: while the caller takes nothing, only a bounded number of items is sent. */
  @Test
  void aSlowCallerHoldsTheServerUp() {
    try (AnswerStream answers =
        client.streamRecognize(numbered(500), ReadingConfig.defaults(), fast().concurrency(2).build())) {
      Iterator<PageAnswer> each = answers.iterator();
      each.next();
      await(() -> service.received.size() >= 3);
      roundTrip();
      assertTrue(service.received.size() <= 10, () -> service.received.size() + " were sent");
      int rest = 0;
      while (each.hasNext()) {
        each.next();
        rest++;
      }
      assertEquals(499, rest);
    }
  }

  /** Rule 4: a caller that takes nothing stops the server's writing by flow control, in the middle of an item too. */
  @Test
  void aSlowCallerStopsTheServersWriting() {
    service.rawBytes = 1 << 18;
    try (AnswerStream answers = client.streamRecognize(items("pages=400"))) {
      Iterator<PageAnswer> each = answers.iterator();
      each.next();
      int written;
      do { // until the server stands still
        written = service.answered.get();
        for (int trip = 0; trip < 20; trip++) {
          roundTrip(); // which the stream that stands still does not hold up
        }
      } while (service.answered.get() > written);
      assertTrue(service.answered.get() < 200, () -> service.answered + " pages of 256 KiB were written");
      int rest = 0;
      while (each.hasNext()) {
        each.next();
        rest++;
      }
      assertEquals(399, rest);
    }
  }

  /** Rule 5: content above 1 MiB, or above the server's limit on messages, goes in chunks within that limit. */
  @ParameterizedTest
  @CsvSource({"200000, 2", "4000000, 1"})
  void largeContentGoesInChunksAndArrivesWhole(int messageMaxBytes, int chunked, @TempDir Path folder)
      throws IOException {
    byte[] large = new byte[3_500_001];
    Arrays.fill(large, (byte) 7);
    byte[] medium = new byte[300_000];
    Path path = Files.write(folder.resolve("large.bin"), large);
    service.limits = service.limits.toBuilder().setMaxMessageBytes(messageMaxBytes).build();
    List<Item> items = List.of(Item.of("item-0", path), Item.of("item-1", medium), item("item-2", "small"));
    assertEquals(
        List.of(
            "item-0 1 " + FakePreprocess.digest(large) + ".",
            "item-1 1 " + FakePreprocess.digest(medium) + ".",
            only(2, "small")),
        read(items, fast()));
    assertEquals(chunked, service.chunked.size());
    assertTrue(service.largestMessageBytes.get() <= messageMaxBytes);
    assertTrue(service.largestMessageBytes.get() <= (1 << 20) + 1024);
  }

  /** Rule 6: with digests first only unknown content is sent, and the order of answers is kept. */
  @Test
  void onlyUnknownContentFollowsItsDigest() {
    service.knownDigests.add(ByteString.copyFrom(FakePreprocess.sha256("old".getBytes(StandardCharsets.UTF_8))));
    assertEquals(
        List.of(only(0, "new"), only(1, "known"), only(2, "newer")),
        read(items("new", "old", "newer"), fast().digestFirst(true)));
    List<String> contents =
        service.items.stream()
            .filter(item -> item.getImage().hasContent())
            .map(item -> item.getImage().getContent().toStringUtf8())
            .toList();
    assertEquals(List.of("new", "newer"), contents);
  }

  /** Rule 6: digests that are ready together share a message; an unreadable file among them is answered here. */
  @Test
  void digestsThatAreReadyTogetherShareAMessage(@TempDir Path folder) {
    List<Item> items = new ArrayList<>(numbered(40));
    items.forEach(
        item -> service.knownDigests.add(
            ByteString.copyFrom(FakePreprocess.sha256(((Content.Bytes) item.content()).bytes().toByteArray()))));
    items.add(20, Item.of("gone", folder.resolve("gone.png")));
    List<String> answers = read(items, fast().digestFirst(true));
    assertEquals(41, answers.size());
    assertEquals("gone 0 SOURCE_UNREADABLE.", answers.get(20));
    assertTrue(service.itemsTogether.stream().anyMatch(count -> count > 1));
    assertTrue(service.mostInFlight.get() <= StreamPolicy.defaults().concurrency());
    assertFalse(service.received.contains("gone"));
  }

  /** Rule 6: the server's limit on messages holds for several digests together. */
  @Test
  void digestsThatAreTooLongForOneMessageGoSingly() {
    service.limits = service.limits.toBuilder().setMaxMessageBytes(2500).build();
    service.knownDigests.add(ByteString.copyFrom(FakePreprocess.sha256("x".getBytes(StandardCharsets.UTF_8))));
    List<Region> regions = IntStream.range(0, 60).mapToObj(number -> new Region(1, 1, 10.0 + number, 20)).toList();
    List<Item> items =
        IntStream.range(0, 6).mapToObj(number -> item("item-" + number, "x").withRegions(regions)).toList();
    assertEquals(6, read(items, fast().digestFirst(true)).size());
    assertTrue(service.itemsTogether.isEmpty());
    assertTrue(service.largestMessageBytes.get() <= 2500);
  }

  /** Rule 7: a missing file and one over the announced limit are answered here, with figures, and the rest is read. */
  @Test
  void whatCannotBeSentIsAnsweredHere(@TempDir Path folder) {
    service.limits = service.limits.toBuilder().setMaxItemBytes(10).build();
    List<Item> items =
        List.of(
            Item.of("gone", folder.resolve("gone.png")),
            Item.of("folder", folder),
            item("large", "x".repeat(11)),
            item("item-3", "fine"));
    List<PageAnswer> answers = new ArrayList<>();
    client.streamRecognize(items).forEach(answers::add);
    assertEquals("gone 0 SOURCE_UNREADABLE.", told(answers.get(0)));
    assertFalse(answers.get(1).hasDocument());
    assertEquals("large 0 IMAGE_TOO_LARGE_BYTES.", told(answers.get(2)));
    assertEquals(only(3, "fine"), told(answers.get(3)));
    OcrMuxException tooLarge = OcrMuxException.of(answers.get(2)).orElseThrow();
    assertEquals(io.grpc.Status.Code.OUT_OF_RANGE, tooLarge.code());
    assertEquals("10", tooLarge.metadata().get("limit"));
    assertEquals("11", tooLarge.metadata().get("value"));
    assertEquals(List.of("item-3"), service.received);
  }

  /** Rule 7: one id for two items on their way is the caller's mistake; for one after the other it is the server's. */
  @Test
  void twoItemsOfOneIdInFlightEndTheStream() {
    service.heldIds.add("*");
    IllegalArgumentException thrown =
        assertThrows(
            IllegalArgumentException.class, () -> read(List.of(item("same", "a"), item("same", "b")), fast()));
    assertTrue(thrown.getMessage().contains("used by two items"));
  }

  /** A stream without items ends at once, and asks nobody. */
  @Test
  void anEmptyStreamOpensNothing() {
    assertEquals(List.of(), read(List.of(), fast()));
    assertEquals(0, service.streams.get());
  }

  /** Memory is bounded by the window: half a gigabyte of items goes through a heap that a window fills. */
  @Test
  void memoryIsBoundedByTheWindow() {
    AtomicInteger alive = new AtomicInteger();
    AtomicInteger mostAlive = new AtomicInteger();
    Iterator<Item> items =
        IntStream.range(0, 500)
            .mapToObj(
                number -> {
                  mostAlive.accumulateAndGet(alive.incrementAndGet(), Math::max);
                  return Item.of("item-" + number, new byte[1 << 20]);
                })
            .iterator();
    service.limits = StreamLimits.newBuilder().setMaxItemsInFlight(64).setMaxMessageBytes(4 << 20).build();
    int count = 0;
    try (AnswerStream answers = client.streamRecognize(items)) {
      for (PageAnswer answer : answers) {
        assertTrue(answer.hasDocument());
        alive.decrementAndGet();
        service.items.clear(); // the fake's own memory of contents
        count++;
      }
    }
    assertEquals(500, count);
    assertTrue(mostAlive.get() <= 3 * StreamPolicy.defaults().concurrency(), () -> mostAlive + " items were alive");
  }
}
