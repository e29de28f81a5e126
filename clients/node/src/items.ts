/** What a caller asks for: items, each an image or a document. */

import { UsageError } from "./errors.js";
import type { ImagePayload } from "./gen/ocrmux/ocr/v1/image.js";
import type { SourceItem } from "./gen/ocrmux/preprocess/v1/preprocess.js";

/** A file: its bytes, or its path as a string or a `file:` URL. */
export type Content = Uint8Array | string | URL;

/** A rectangle to which recognition is confined, in pixels of the source image after its EXIF orientation. */
export interface Region {
  /** Left edge, 0 or more. */
  x: number;
  /** Top edge, 0 or more. */
  y: number;
  /** Above 0. */
  width: number;
  /** Above 0. */
  height: number;
}

/** One image or document of a stream. */
export interface Item {
  /** 1 to 128 characters, unique in its stream. */
  requestId: string;
  /** A path is read only when the item's turn comes, and again if the item has to be sent again. */
  content: Content;
  /** None: the whole image. At most 256. */
  regions?: readonly Region[];
  /** Opens an encrypted document. */
  password?: string;
}

const ID_MAX_CHARACTERS = 128;

/** Throws UsageError for an id or a region that no server takes. */
export function checkItem(item: Item): void {
  const characters = Array.from(item.requestId).length;
  if (characters < 1 || characters > ID_MAX_CHARACTERS || !item.requestId.isWellFormed()) {
    throw new UsageError(`a requestId has 1 to ${ID_MAX_CHARACTERS} Unicode characters, not ${characters}`);
  }
  checkRegions(item.regions);
}

/** Throws UsageError for a rectangle that is none. */
export function checkRegions(regions: readonly Region[] = []): void {
  for (const { x, y, width, height } of regions) {
    if (!(x >= 0 && y >= 0 && width > 0 && height > 0)) {
      throw new UsageError(
        `a region needs x and y of 0 or more and a width and height above 0, not ${x},${y},${width},${height}`,
      );
    }
  }
}

/** The item as the service takes it. */
export function sourceItem(item: Omit<Item, "content">, source: NonNullable<ImagePayload["source"]>): SourceItem {
  return {
    requestId: item.requestId,
    image: { source },
    regions: (item.regions ?? []).map(({ x, y, width, height }) => ({ x, y, width, height })),
    password: item.password ?? "",
  };
}
