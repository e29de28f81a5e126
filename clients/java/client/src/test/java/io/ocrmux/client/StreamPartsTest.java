package io.ocrmux.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.Any;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Metadata;
import io.grpc.Status;
import io.ocrmux.ocr.v1.PageAnswer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.RepetitionInfo;
import org.junit.jupiter.api.Test;

/** The parts of a stream that are plain state, and what callers say. */
final class StreamPartsTest {

  /** Whatever order answers come in, they go out in that of the items, pages in theirs, and none is kept. */
  @RepeatedTest(50)
  void answersGoOutInTheOrderOfTheItems(RepetitionInfo repetition) {
    Random random = new Random(repetition.getCurrentRepetition());
    AnswerOrder order = new AnswerOrder(true);
    List<PageAnswer> wanted = new ArrayList<>();
    List<List<PageAnswer>> left = new ArrayList<>();
    for (int item = 0; item < 20; item++) {
      assertEquals(item, order.start());
      left.add(new ArrayList<>());
      int pages = 1 + random.nextInt(4);
      for (int page = 1; page <= pages; page++) {
        String id = Integer.toString(item);
        left.get(item).add(
            PageAnswer.newBuilder().setRequestId(id).setPage(page).setLastPage(page == pages).build());
      }
      wanted.addAll(left.get(item));
    }
    assertEquals(20, order.lag());
    List<PageAnswer> out = new ArrayList<>();
    while (left.stream().anyMatch(pages -> !pages.isEmpty())) {
      int item = random.nextInt(left.size());
      if (!left.get(item).isEmpty()) {
        out.addAll(order.take(item, left.get(item).remove(0)));
      }
    }
    assertEquals(wanted, out);
    assertEquals(0, order.lag());
  }

  /** Waits double up to the longest, are cut by chance to the half at most, and are not less than the server's wish. */
  @Test
  void waitsAreWithinTheirBounds() {
    Backoff backoff = Backoff.defaults();
    assertEquals(Duration.ofMillis(100), backoff.waitAfter(1, Optional.empty(), 0));
    assertEquals(Duration.ofMillis(200), backoff.waitAfter(1, Optional.empty(), 1));
    assertEquals(Duration.ofMillis(800), backoff.waitAfter(3, Optional.empty(), 1));
    assertEquals(Duration.ofSeconds(10), backoff.waitAfter(1000, Optional.empty(), 1));
    assertEquals(Duration.ofSeconds(3), backoff.waitAfter(1, Optional.of(Duration.ofSeconds(3)), 1));
    assertEquals(Duration.ofSeconds(10), backoff.waitAfter(1, Optional.of(Duration.ofDays(1)), 1));
    assertThrows(IllegalArgumentException.class, () -> new Backoff(Duration.ZERO, 0.5, Duration.ZERO, 1));
  }

  /** Trailers that are not the services' own leave the call's code and words. */
  @Test
  void foreignTrailersAreNoDetails() {
    Metadata.Key<byte[]> key = Metadata.Key.of("grpc-status-details-bin", Metadata.BINARY_BYTE_MARSHALLER);
    com.google.rpc.Status other = OcrMuxException.status(Status.Code.NOT_FOUND, "OTHER", "of another code", Map.of());
    for (byte[] foreign : new byte[][] {{(byte) 0xff, 1}, other.toByteArray()}) {
      Metadata trailers = new Metadata();
      trailers.put(key, foreign);
      OcrMuxException error =
          OcrMuxException.ofCall(Status.UNAVAILABLE.withDescription("no route").asRuntimeException(trailers));
      assertEquals(Status.Code.UNAVAILABLE, error.code());
      assertEquals("", error.reason());
      assertEquals("UNAVAILABLE: no route", error.getMessage());
    }
    assertFalse(OcrMuxException.ofCall(Status.CANCELLED.asRuntimeException()).description().isEmpty());
  }

  /** A reason counts in the services' own domain only, wherever it stands; a wish out of all bounds is cut. */
  @Test
  void detailsOfOthersAndOutOfBoundsDoNoHarm() {
    Any foreign = Any.pack(ErrorInfo.newBuilder().setReason("THEIRS").setDomain("proxy").build());
    Any longest =
        Any.pack(
            RetryInfo.newBuilder()
                .setRetryDelay(
                    com.google.protobuf.Duration.newBuilder().setSeconds(Long.MAX_VALUE).setNanos(Integer.MAX_VALUE))
                .build());
    com.google.rpc.Status bare = OcrMuxException.status(Status.Code.INTERNAL, "", "of a proxy", Map.of());
    OcrMuxException proxys = new OcrMuxException(bare.toBuilder().addDetails(foreign).addDetails(longest).build());
    assertEquals("", proxys.reason());
    assertTrue(ItemWindow.isPassing(proxys));
    assertEquals(Duration.ofSeconds(10), Backoff.defaults().waitAfter(1, proxys.retryAfter(), 0));
    com.google.rpc.Status ours = OcrMuxException.status(Status.Code.INTERNAL, "INTERNAL", "a bug", Map.of());
    com.google.rpc.Status both = ours.toBuilder().addDetails(0, foreign).build();
    assertEquals("INTERNAL", new OcrMuxException(both).reason());
  }

  /** Ids, regions, configs and policies that make no sense are refused at once; characters are counted, not units. */
  @Test
  void whatMakesNoSenseIsRefused() {
    byte[] content = {1};
    assertEquals(256, Item.of("\uD83D\uDE00".repeat(128), content).requestId().length());
    for (String id : List.of("", "x".repeat(129), "\uD83D\uDE00".repeat(129), "half \uD83D")) {
      assertThrows(IllegalArgumentException.class, () -> Item.of(id, content));
    }
    assertThrows(IllegalArgumentException.class, () -> new Region(-1, 0, 1, 1));
    assertThrows(IllegalArgumentException.class, () -> new Region(0, 0, Double.NaN, 1));
    ReadingConfig.Builder both = ReadingConfig.builder().provider("a").route("b");
    assertThrows(IllegalArgumentException.class, both::build);
    ReadingConfig.Builder document = ReadingConfig.builder().idDocument(IdDocument.PASSPORT);
    assertThrows(IllegalArgumentException.class, document::build);
    ReadingConfig.Builder late = ReadingConfig.builder().itemTimeout(Duration.ZERO);
    assertThrows(IllegalArgumentException.class, late::build);
    StreamPolicy.Builder nothing = StreamPolicy.builder().concurrency(0);
    assertThrows(IllegalArgumentException.class, nothing::build);
    assertFalse(Item.of("one", content).withPassword("s3cret").toString().contains("s3cret"));
  }

  /** Every enum of the client has its counterpart in the protos. */
  @Test
  void everyChoiceIsKnownToTheServices() {
    assertTrue(List.of(Feature.values()).stream().allMatch(each -> each.toProto().getNumber() > 0));
    assertTrue(List.of(IdDocument.values()).stream().allMatch(each -> each.toProto().getNumber() > 0));
    assertTrue(List.of(CacheUse.values()).stream().allMatch(each -> each.toProto().getNumber() > 0));
    assertTrue(List.of(Priority.values()).stream().allMatch(each -> each.toProto().getNumber() > 0));
  }
}
