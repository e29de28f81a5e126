package io.ocrmux.client;

import static java.util.Objects.requireNonNull;

import java.nio.file.Path;
import java.util.List;

/**
 * One image or document to be read.
 *
 * @param requestId names it in its answers: 1 to 128 characters (code points), unique in its stream
 * @param content the file's bytes, or its path
 * @param regions rectangles to which recognition is confined; empty: the whole image
 * @param password opens an encrypted document; empty: none
 */
public record Item(String requestId, Content content, List<Region> regions, String password) {

  private static final int ID_MAX_CHARACTERS = 128;

  /** Throws IllegalArgumentException for an id that is empty, too long, or no Unicode text. */
  public Item {
    requireNonNull(content, "content");
    requireNonNull(password, "password");
    regions = List.copyOf(regions);
    int characters = requestId.codePointCount(0, requestId.length());
    if (characters < 1 || characters > ID_MAX_CHARACTERS) {
      throw new IllegalArgumentException(
          "a request id has 1 to " + ID_MAX_CHARACTERS + " characters, not " + characters);
    }
    if (requestId.codePoints().anyMatch(point -> point >= 0xD800 && point <= 0xDFFF)) {
      throw new IllegalArgumentException("a request id has no half of a surrogate pair");
    }
  }

  /** An item of these bytes, which are not copied: leave the array as it is until the item's last answer. */
  public static Item of(String requestId, byte[] bytes) {
    return new Item(requestId, Content.of(bytes), List.of(), "");
  }

  /** An item of this file, read only when its turn comes, and again if it must be sent again. */
  public static Item of(String requestId, Path path) {
    return new Item(requestId, Content.of(path), List.of(), "");
  }

  /** The same item, confined to these rectangles. */
  public Item withRegions(List<Region> newRegions) {
    return new Item(requestId, content, newRegions, password);
  }

  /** The same item, opened by this password. */
  public Item withPassword(String newPassword) {
    return new Item(requestId, content, regions, newPassword);
  }

  /** The item without its password and its bytes. */
  @Override
  public String toString() {
    return "Item[" + requestId + "]";
  }
}
