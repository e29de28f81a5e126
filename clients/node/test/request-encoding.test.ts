import assert from "node:assert/strict";
import { test } from "node:test";
import { StreamRecognizeRequest } from "../src/gen/ocrmux/preprocess/v1/preprocess.js";
import { encodedRequest } from "../src/request-encoding.js";

const regions = [{ x: 1, y: 2, width: 3, height: 4 }];
const batched = { requestId: "b", image: { source: undefined }, regions: [], password: "" };

const REQUESTS: Record<string, StreamRecognizeRequest["message"]> = {
  "a chunk": { $case: "chunk", value: { requestId: "läßt-发", data: Buffer.alloc(70_000, 7) } },
  "an item with content": {
    $case: "item",
    value: {
      requestId: "发",
      image: { source: { $case: "content", value: Buffer.alloc(300, 9) } },
      regions,
      password: "p",
    },
  },
  "an item with empty content": {
    $case: "item",
    value: {
      requestId: "e",
      image: { source: { $case: "content", value: Buffer.alloc(0) } },
      regions: [],
      password: "",
    },
  },
  "an announcement": {
    $case: "item",
    value: { requestId: "a", image: { source: { $case: "chunked", value: { totalBytes: 5 } } }, regions, password: "" },
  },
  "a batch": { $case: "batch", value: { items: [batched] } },
  "a config": {
    $case: "config",
    value: { recognition: undefined, normalization: undefined, ordered: false, batchedAnswers: true },
  },
};

for (const [name, message] of Object.entries(REQUESTS)) {
  void test(`${name} is read as it was written`, () => {
    const bytes = encodedRequest({ message });
    assert.deepEqual(StreamRecognizeRequest.decode(bytes), { message });
    assert.equal(bytes.length, StreamRecognizeRequest.encode({ message }).finish().length);
  });
}
