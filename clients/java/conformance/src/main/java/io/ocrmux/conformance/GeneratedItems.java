package io.ocrmux.conformance;

import io.ocrmux.client.Item;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Iterator;
import java.util.stream.IntStream;

/**
 * Many distinct items that cost nothing: a file, zeros, and the item's number in 8 bytes, each made when it is drawn.
 *
 * @param count how many
 * @param bytes of each, all together
 * @param base the file's bytes
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record GeneratedItems(int count, int bytes, byte[] base) implements Iterable<Item> {

  GeneratedItems {
    if (bytes < base.length + Long.BYTES) {
      throw new IllegalArgumentException("the items are smaller than their base");
    }
  }

  @Override
  public Iterator<Item> iterator() {
    return IntStream.range(0, count).mapToObj(number -> Item.of("g" + number, content(number))).iterator();
  }

  private byte[] content(long number) {
    byte[] content = Arrays.copyOf(base, bytes);
    ByteBuffer.wrap(content).putLong(bytes - Long.BYTES, number);
    return content;
  }
}
