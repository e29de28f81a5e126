package io.ocrmux.client;

import io.ocrmux.ocr.v1.Rect;

/**
 * A rectangle to which recognition is confined, in pixels of the source image after its EXIF orientation.
 *
 * @param x left edge, 0 or more
 * @param y top edge, 0 or more
 * @param width above 0
 * @param height above 0
 */
public record Region(double x, double y, double width, double height) {

  /** Throws IllegalArgumentException for a rectangle that has no area or begins outside. */
  public Region {
    if (!(x >= 0 && y >= 0 && width > 0 && height > 0)) {
      throw new IllegalArgumentException(
          "a region needs x and y of 0 or more and a width and height above 0, not "
              + x + "," + y + "," + width + "," + height);
    }
  }

  Rect toProto() {
    return Rect.newBuilder().setX(x).setY(y).setWidth(width).setHeight(height).build();
  }
}
