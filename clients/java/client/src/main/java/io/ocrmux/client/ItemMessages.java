package io.ocrmux.client;

import com.google.protobuf.ByteString;
import com.google.protobuf.UnsafeByteOperations;
import io.grpc.Status;
import io.ocrmux.ocr.v1.ChunkedContent;
import io.ocrmux.ocr.v1.ContentChunk;
import io.ocrmux.ocr.v1.ContentDigest;
import io.ocrmux.ocr.v1.DigestAlgorithm;
import io.ocrmux.ocr.v1.ImagePayload;
import io.ocrmux.ocr.v1.StreamLimits;
import io.ocrmux.preprocess.v1.SourceItem;
import io.ocrmux.preprocess.v1.SourceItemBatch;
import io.ocrmux.preprocess.v1.StreamRecognizeRequest;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import java.util.stream.Stream;

/** Turns items into the messages that a stream sends, within the limits that the server announced. */
final class ItemMessages {
  static final int WHOLE_MAX_BYTES = 1 << 20;
  static final int CHUNK_BYTES = 1 << 20;
  private static final int ENVELOPE_BYTES = 1024; // more than a chunk's id, lengths and tags ever take
  private static final int READ_BYTES = 1 << 16;
  private static final int ARRAY_MAX_BYTES = Integer.MAX_VALUE - 8; // of the JDK

  private ItemMessages() {}

  /** Bytes of the item's content, before it is read; blocks while the file system is asked. */
  static long sizeBytes(Item item) throws ItemRefused {
    if (item.content() instanceof Content.Bytes inMemory) {
      return inMemory.bytes().size();
    }
    Path path = ((Content.File) item.content()).path();
    try {
      return Files.size(path);
    } catch (IOException error) {
      throw unreadable(path, error);
    }
  }

  /** Throws where the server takes no item of so many bytes. */
  static void checkSize(long sizeBytes, StreamLimits limits) throws ItemRefused {
    long limit = limits.getMaxItemBytes();
    if (limit > 0 && sizeBytes > limit) {
      String message = "a file of " + sizeBytes + " bytes is over the server's limit of " + limit + " bytes";
      Map<String, String> figures =
          Map.of("value", Long.toString(sizeBytes), "limit", Long.toString(limit), "unit", "bytes");
      throw new ItemRefused(
          OcrMuxException.status(Status.Code.OUT_OF_RANGE, "IMAGE_TOO_LARGE_BYTES", message, figures));
    }
  }

  /** The item's content; blocks while a file is read, which is held no further than the server's limit. */
  static ByteString load(Item item, StreamLimits limits) throws ItemRefused {
    long limit = limits.getMaxItemBytes();
    ByteString content = load(item, limit > 0 && limit < Long.MAX_VALUE ? limit + 1 : Long.MAX_VALUE);
    checkSize(content.size(), limits);
    return content;
  }

  /** The item's content, of a file at most so many bytes; blocks while it is read. */
  static ByteString load(Item item, long atMostBytes) throws ItemRefused {
    if (item.content() instanceof Content.Bytes inMemory) {
      return inMemory.bytes();
    }
    Path path = ((Content.File) item.content()).path();
    int most = (int) Math.min(atMostBytes, ARRAY_MAX_BYTES);
    try (InputStream file = Files.newInputStream(path)) {
      byte[] content = new byte[(int) Math.min(Math.max(Files.size(path) + 1, READ_BYTES), most)];
      int filled = file.readNBytes(content, 0, content.length);
      while (filled == content.length && filled < most) { // it has grown, or tells no size
        content = Arrays.copyOf(content, (int) Math.min(2L * filled, most));
        filled += file.readNBytes(content, filled, content.length - filled);
      }
      return UnsafeByteOperations.unsafeWrap(content, 0, filled);
    } catch (IOException error) {
      throw unreadable(path, error);
    } catch (OutOfMemoryError aboveArrays) {
      throw unreadable(path, new IOException("it does not fit into memory", aboveArrays));
    }
  }

  /** The item by its digest only; blocks while a file is hashed, never holding it whole, nor reading above the limit. */
  static SourceItem byDigest(Item item, StreamLimits limits) throws ItemRefused {
    ContentDigest digest =
        ContentDigest.newBuilder()
            .setAlgorithm(DigestAlgorithm.DIGEST_ALGORITHM_SHA256)
            .setValue(UnsafeByteOperations.unsafeWrap(sha256(item, limits)))
            .build();
    return sourceItem(item, ImagePayload.newBuilder().setDigest(digest).build());
  }

  /** The items in one request where that saves any and it fits; else each in its own. */
  static List<StreamRecognizeRequest> together(List<SourceItem> items, StreamLimits limits) {
    if (items.size() > 1) {
      SourceItemBatch batch = SourceItemBatch.newBuilder().addAllItems(items).build();
      StreamRecognizeRequest request = StreamRecognizeRequest.newBuilder().setBatch(batch).build();
      if (limits.getMaxMessageBytes() <= 0 || request.getSerializedSize() <= limits.getMaxMessageBytes()) {
        return List.of(request);
      }
    }
    return items.stream().map(ItemMessages::request).toList();
  }

  /** The item with its content, made one message at a time: one where it fits, else an announcement and its chunks. */
  static Stream<StreamRecognizeRequest> withContent(Item item, ByteString content, StreamLimits limits) {
    long messageMaxBytes =
        limits.getMaxMessageBytes() > 0 ? limits.getMaxMessageBytes() : CHUNK_BYTES + ENVELOPE_BYTES;
    if (content.size() <= WHOLE_MAX_BYTES) {
      StreamRecognizeRequest whole =
          request(sourceItem(item, ImagePayload.newBuilder().setContent(content).build()));
      if (whole.getSerializedSize() <= messageMaxBytes) {
        return Stream.of(whole);
      }
    }
    ChunkedContent announcement = ChunkedContent.newBuilder().setTotalBytes(content.size()).build();
    StreamRecognizeRequest announced =
        request(sourceItem(item, ImagePayload.newBuilder().setChunked(announcement).build()));
    int chunkBytes = (int) Math.max(1, Math.min(CHUNK_BYTES, messageMaxBytes - ENVELOPE_BYTES));
    LongStream starts = LongStream.iterate(0, start -> start < content.size(), start -> start + chunkBytes);
    return Stream.concat(
        Stream.of(announced), starts.mapToObj(start -> chunk(item, content, start, start + chunkBytes)));
  }

  /** The item as the services take it. */
  static SourceItem sourceItem(Item item, ImagePayload payload) {
    SourceItem.Builder source =
        SourceItem.newBuilder()
            .setRequestId(item.requestId())
            .setImage(payload)
            .setPassword(item.password());
    item.regions().forEach(region -> source.addRegions(region.toProto()));
    return source.build();
  }

  private static StreamRecognizeRequest request(SourceItem item) {
    return StreamRecognizeRequest.newBuilder().setItem(item).build();
  }

  private static StreamRecognizeRequest chunk(Item item, ByteString content, long start, long end) {
    ByteString data = content.substring((int) start, (int) Math.min(end, content.size()));
    ContentChunk chunk = ContentChunk.newBuilder().setRequestId(item.requestId()).setData(data).build();
    return StreamRecognizeRequest.newBuilder().setChunk(chunk).build();
  }

  private static byte[] sha256(Item item, StreamLimits limits) throws ItemRefused {
    MessageDigest hash;
    try {
      hash = MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException impossible) {
      throw new AssertionError("every JDK has SHA-256", impossible);
    }
    if (item.content() instanceof Content.Bytes inMemory) {
      for (ByteBuffer part : inMemory.bytes().asReadOnlyByteBufferList()) {
        hash.update(part);
      }
      return hash.digest();
    }
    Path path = ((Content.File) item.content()).path();
    try (InputStream file = Files.newInputStream(path)) {
      byte[] buffer = new byte[READ_BYTES];
      long size = 0;
      for (int read = file.read(buffer); read >= 0; read = file.read(buffer)) {
        hash.update(buffer, 0, read);
        size += read;
        checkSize(size, limits);
      }
      return hash.digest();
    } catch (IOException error) {
      throw unreadable(path, error);
    }
  }

  private static ItemRefused unreadable(Path path, IOException error) {
    return new ItemRefused(
        OcrMuxException.status(
            Status.Code.NOT_FOUND,
            OcrMuxException.SOURCE_UNREADABLE,
            "the file cannot be read: " + UnreadableFile.reason(error),
            Map.of("path", path.toString())));
  }
}
