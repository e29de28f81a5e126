/** Turns requests into bytes. What carries content is put together here, so that content is copied once instead of at each level. */

import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { ContentChunk } from "./gen/ocrmux/ocr/v1/image.js";
import { SourceItem, StreamRecognizeRequest } from "./gen/ocrmux/preprocess/v1/preprocess.js";

const NONE = Buffer.alloc(0);

// Numbers of the fields in the protos.
const REQUEST_ITEM = 2;
const REQUEST_CHUNK = 3;
const ITEM_IMAGE = 2;
const IMAGE_CONTENT = 1;
const CHUNK_DATA = 2;

/** The request as bytes. */
export function encodedRequest(request: StreamRecognizeRequest): Buffer {
  const { message } = request;
  if (message?.$case === "chunk") {
    const { requestId, data } = message.value;
    const head = ContentChunk.encode({ requestId, data: NONE }).finish();
    return Buffer.concat(field(REQUEST_CHUNK, [head, ...field(CHUNK_DATA, [data])]));
  }
  if (message?.$case === "item" && message.value.image?.source?.$case === "content") {
    const head = SourceItem.encode({ ...message.value, image: undefined }).finish();
    const image = field(ITEM_IMAGE, field(IMAGE_CONTENT, [message.value.image.source.value]));
    return Buffer.concat(field(REQUEST_ITEM, [head, ...image]));
  }
  const bytes = StreamRecognizeRequest.encode(request).finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A field of so many bytes, its tag and length before them. */
function field(number: number, parts: readonly Uint8Array[]): Uint8Array[] {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return [
    new BinaryWriter()
      .uint32((number << 3) | 2)
      .uint32(length)
      .finish(),
    ...parts,
  ];
}
