package io.ocrmux.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.ocrmux.ocr.v1.PageAnswer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The client before a real pair: OCRMUX_TEST_TARGET, OCRMUX_TEST_GATEWAY_TARGET, images in OCRMUX_TEST_IMAGES. */
@Timeout(300)
final class LivePairTest {
  private static final String TARGET = System.getenv("OCRMUX_TEST_TARGET");
  private static final String GATEWAY_TARGET = System.getenv("OCRMUX_TEST_GATEWAY_TARGET");
  private static final String IMAGES = System.getenv("OCRMUX_TEST_IMAGES");

  @BeforeAll
  static void aPairIsThere() {
    assumeTrue(
        TARGET != null && GATEWAY_TARGET != null && IMAGES != null,
        "no pair: OCRMUX_TEST_TARGET, OCRMUX_TEST_GATEWAY_TARGET and OCRMUX_TEST_IMAGES are not set");
  }

  private static OcrMuxClient client() {
    return OcrMuxClient.builder(TARGET).gatewayTarget(GATEWAY_TARGET).build();
  }

  private static List<Path> images() throws IOException {
    try (Stream<Path> files = Files.list(Path.of(IMAGES))) {
      return files.filter(file -> file.toString().matches(".*\\.(png|jpg)")).sorted().toList();
    }
  }

  /** One image has text. */
  @Test
  void oneImageIsRead() throws IOException {
    try (OcrMuxClient client = client()) {
      assertFalse(client.recognize(images().get(0)).join().text().isBlank());
    }
  }

  /** All images are read in order, by their digests the second time. */
  @Test
  void manyImagesAreReadAndKnownTheSecondTime() throws IOException {
    List<Path> images = images();
    StreamPolicy policy = StreamPolicy.builder().digestFirst(true).timeout(Duration.ofMinutes(4)).build();
    try (OcrMuxClient client = client()) {
      for (int run = 0; run < 2; run++) {
        List<Item> items = images.stream().map(image -> Item.of(image.getFileName().toString(), image)).toList();
        try (AnswerStream answers = client.streamRecognize(items, ReadingConfig.defaults(), policy)) {
          List<PageAnswer> all = StreamSupport.stream(answers.spliterator(), false).toList();
          assertEquals(
              items.stream().map(Item::requestId).toList(), all.stream().map(PageAnswer::getRequestId).toList());
          assertTrue(all.stream().allMatch(PageAnswer::hasDocument));
          int attempts = all.stream().mapToInt(answer -> answer.getProvenance().getAttempts()).sum();
          assertTrue(run == 0 || attempts == 0);
        }
      }
    }
  }

  /** The gateway lists its providers. */
  @Test
  void providersAreListed() {
    try (OcrMuxClient client = client()) {
      assertTrue(client.listProviders().join().getProvidersCount() > 0);
    }
  }
}
