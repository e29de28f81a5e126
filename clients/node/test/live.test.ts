/** Against a running pair: OCRMUX_TEST_TARGET, OCRMUX_TEST_GATEWAY_TARGET, and images in OCRMUX_TEST_IMAGES. */

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { errorOf, OcrMuxClient, pagesOf, type Item } from "../src/index.js";

const { OCRMUX_TEST_TARGET: target, OCRMUX_TEST_GATEWAY_TARGET: gatewayTarget, OCRMUX_TEST_IMAGES: folder } = process.env; // prettier-ignore
const missing = "OCRMUX_TEST_TARGET, OCRMUX_TEST_GATEWAY_TARGET and OCRMUX_TEST_IMAGES are not set";

void describe("a running pair", { skip: target && gatewayTarget && folder ? false : missing }, () => {
  const live = (): OcrMuxClient => new OcrMuxClient(target ?? "", { gatewayTarget: gatewayTarget ?? "" });
  const images = (): string[] =>
    readdirSync(folder ?? ".").filter((name) => /\.(png|jpe?g|tiff?|pdf)$/i.test(name)).map((name) => join(folder ?? ".", name)); // prettier-ignore

  void test("reads one image, whole and in chunks, alike", async () => {
    using client = live();
    const [image = ""] = images();
    const reading = await client.recognize(image);
    assert.ok(reading.text.length > 0);
    const [answer] = await all(client.streamRecognize([{ requestId: "发-1", content: image }]));
    assert.ok(answer);
    assert.deepEqual([answer.requestId, pagesOf(answer)[0]?.text], ["发-1", reading.pages[0]?.text]);
  });

  void test("reads a folder, answers all in order, and what is no image with its reason", async () => {
    using client = live();
    const paths = [...images(), "/nowhere.png"];
    const wanted: Item[] = paths.map((content) => ({ requestId: content, content }));
    wanted.push({ requestId: "text", content: Buffer.from("no image at all") });
    for (const digestFirst of [false, true]) {
      const answers = await all(client.streamRecognize(wanted, { policy: { digestFirst } }));
      const last = answers.filter((answer) => answer.lastPage);
      assert.deepEqual(last.map((answer) => answer.requestId), wanted.map((item) => item.requestId)); // prettier-ignore
      const reasons = answers.flatMap((answer) => errorOf(answer)?.reason ?? []);
      assert.deepEqual(reasons, ["SOURCE_UNREADABLE", "IMAGE_UNDECODABLE"]);
    }
  });

  void test("lists its providers", async () => {
    using client = live();
    assert.ok((await client.listProviders()).providers.length > 0);
  });

  void test("refuses a provider that there is not", async () => {
    using client = live();
    const answers = client.streamRecognize([{ requestId: "a", content: images()[0] ?? "" }], { config: { provider: "nobody" } }); // prettier-ignore
    await assert.rejects(answers.next(), { reason: "PROVIDER_UNKNOWN" });
  });
});

async function all<T>(answers: AsyncIterable<T>): Promise<T[]> {
  const given: T[] = [];
  for await (const answer of answers) given.push(answer);
  return given;
}
