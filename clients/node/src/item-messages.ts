/** Turns items into the pieces that a stream sends, within the limits that the server announced. */

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Code, itemStatus, SOURCE_UNREADABLE } from "./errors.js";
import type { Status } from "./gen/google/rpc/status.js";
import { DigestAlgorithm } from "./gen/ocrmux/ocr/v1/image.js";
import type { StreamLimits } from "./gen/ocrmux/ocr/v1/recognition.js";
import { SourceItem, StreamRecognizeRequest } from "./gen/ocrmux/preprocess/v1/preprocess.js";
import { sourceItem, type Content, type Item } from "./items.js";

const WHOLE_MAX_BYTES = 1 << 20;
const CHUNK_BYTES = 1 << 20;
const ENVELOPE_BYTES = 1024; // more than a chunk's id, lengths and tags ever take
const LENGTHS_BYTES = 64; // more than the tags and lengths around an item's content ever take
const HASHED_AT_ONCE_BYTES = 1 << 20;

/** The client itself answers this item: its file cannot be read, or is over the server's limit. */
export class ItemRefused extends Error {
  constructor(readonly status: Status) {
    super(status.message);
  }
}

/** Bytes of the content, before it is read. Throws ItemRefused. */
export async function sizeBytes(content: Content, limits: StreamLimits): Promise<number> {
  const size = content instanceof Uint8Array ? content.length : (await reading(content, (path) => stat(path))).size;
  checkSize(size, limits);
  return size;
}

/** The content; of a file no more than the limit is held. Throws ItemRefused. */
export async function load(content: Content, limits: StreamLimits, signal?: AbortSignal): Promise<Buffer> {
  if (content instanceof Uint8Array) return buffer(content);
  const data = await reading(content, async (path) => {
    const limit = limits.maxItemBytes;
    if (limit === 0 || (await stat(path)).isFile()) return readFile(path, { signal });
    return Buffer.concat(await createReadStream(path, { end: limit, signal }).toArray()); // it may have no end
  });
  checkSize(data.length, limits); // a file may have grown since it was looked at
  return data;
}

/** The item by its SHA-256 only; a file is never held whole. Throws ItemRefused. */
export async function byDigest(item: Item, limits: StreamLimits, signal: AbortSignal): Promise<SourceItem> {
  const { content } = item;
  const value =
    content instanceof Uint8Array
      ? await hashed(pieces(content, HASHED_AT_ONCE_BYTES), limits, signal)
      : await reading(content, (path) =>
          hashed(createReadStream(path, { highWaterMark: HASHED_AT_ONCE_BYTES, signal }), limits, signal),
        );
  return sourceItem(item, { $case: "digest", value: { algorithm: DigestAlgorithm.SHA256, value } });
}

/** The requests of an item with its content: one where it fits a message, else an announcement and its chunks. */
export function* contentRequests(
  item: Item,
  content: Buffer,
  limits: StreamLimits,
): Generator<StreamRecognizeRequest, void> {
  const messageMaxBytes = limits.maxMessageBytes || CHUNK_BYTES + ENVELOPE_BYTES;
  if (content.length <= WHOLE_MAX_BYTES) {
    const aroundBytes = encodedBytes(sourceItem(item, { $case: "content", value: Buffer.alloc(0) }));
    if (aroundBytes + LENGTHS_BYTES + content.length <= messageMaxBytes) {
      yield { message: { $case: "item", value: sourceItem(item, { $case: "content", value: content }) } };
      return;
    }
  }
  const announced = sourceItem(item, { $case: "chunked", value: { totalBytes: content.length } });
  yield { message: { $case: "item", value: announced } };
  const chunkBytes = Math.max(1, Math.min(CHUNK_BYTES, messageMaxBytes - ENVELOPE_BYTES));
  for (const data of pieces(content, chunkBytes)) {
    yield { message: { $case: "chunk", value: { requestId: item.requestId, data } } };
  }
}

/** The items in one request where it fits and saves any; else each in its own. */
export function* together(items: SourceItem[], limits: StreamLimits): Generator<StreamRecognizeRequest, void> {
  const batch: StreamRecognizeRequest = { message: { $case: "batch", value: { items } } };
  const fits = () =>
    limits.maxMessageBytes === 0 || StreamRecognizeRequest.encode(batch).finish().length <= limits.maxMessageBytes;
  if (items.length > 1 && fits()) yield batch;
  else for (const item of items) yield { message: { $case: "item", value: item } };
}

/** Throws ItemRefused for content over the server's limit. */
function checkSize(size: number, limits: StreamLimits): void {
  const limit = limits.maxItemBytes;
  if (limit === 0 || size <= limit) return;
  const message = `a file of ${size} bytes is over the server's limit of ${limit} bytes`;
  const figures = { value: String(size), limit: String(limit), unit: "bytes" };
  throw new ItemRefused(itemStatus(Code.OUT_OF_RANGE, "IMAGE_TOO_LARGE_BYTES", message, figures));
}

async function reading<T>(path: string | URL, act: (path: string | URL) => Promise<T>): Promise<T> {
  try {
    return await act(path);
  } catch (error) {
    if (!(error instanceof Error) || error instanceof ItemRefused || error.name === "AbortError") throw error;
    const name = path instanceof URL && path.protocol === "file:" ? fileURLToPath(path) : String(path);
    const message = `the file cannot be read: ${error.message}`;
    throw new ItemRefused(itemStatus(Code.NOT_FOUND, SOURCE_UNREADABLE, message, { path: name }));
  }
}

async function hashed(
  content: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  limits: StreamLimits,
  signal: AbortSignal,
): Promise<Buffer> {
  const hash = createHash("sha256");
  let rest = 0;
  let size = 0;
  for await (const piece of content) {
    hash.update(piece);
    size += piece.length;
    checkSize(size, limits);
    rest += piece.length;
    if (rest < HASHED_AT_ONCE_BYTES) continue;
    rest = 0;
    await setImmediate(undefined, { signal }); // a large file's hash leaves the event loop to others now and then
  }
  return hash.digest();
}

function* pieces(content: Uint8Array, bytes: number): Generator<Buffer, void> {
  const whole = buffer(content);
  for (let start = 0; start < whole.length; start += bytes) yield whole.subarray(start, start + bytes);
}

function buffer(content: Uint8Array): Buffer {
  return Buffer.from(content.buffer, content.byteOffset, content.byteLength);
}

function encodedBytes(item: SourceItem): number {
  return SourceItem.encode(item).finish().length;
}
