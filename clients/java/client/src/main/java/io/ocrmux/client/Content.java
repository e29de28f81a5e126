package io.ocrmux.client;

import static java.util.Objects.requireNonNull;

import com.google.protobuf.ByteString;
import com.google.protobuf.UnsafeByteOperations;
import java.nio.file.Path;

/** The file that an item is: its bytes, or its path. */
public sealed interface Content {

  /** Bytes, whole. They are not copied: leave the array as it is until the item's last answer. */
  static Content of(byte[] bytes) {
    return new Bytes(UnsafeByteOperations.unsafeWrap(bytes));
  }

  /** A file, read only when its turn comes, and again if it must be sent again. */
  static Content of(Path path) {
    return new File(path);
  }

  /**
   * Content in memory.
   *
   * @param bytes the file's bytes
   */
  record Bytes(ByteString bytes) implements Content {

    /** Throws NullPointerException for null. */
    public Bytes {
      requireNonNull(bytes, "bytes");
    }
  }

  /**
   * Content on disk.
   *
   * @param path of the file
   */
  record File(Path path) implements Content {

    /** Throws NullPointerException for null. */
    public File {
      requireNonNull(path, "path");
    }
  }
}
