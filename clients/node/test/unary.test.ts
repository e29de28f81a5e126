import assert from "node:assert/strict";
import { status as Code } from "@grpc/grpc-js";
import { describe, test } from "node:test";
import { itemStatus } from "../src/errors.js";
import { OcrMuxClient, OcrMuxError, UsageError } from "../src/index.js";
import { FakeService, retryAfter, textOf } from "./fake-service.js";
import { FAST, pair } from "./stream-fixture.js";

const unavailable = itemStatus(Code.UNAVAILABLE, "GATEWAY_UNAVAILABLE", "not yet");

void describe("recognize", () => {
  void test("gives the pages of bytes, and of a file", async () => {
    const { service, client } = await pair();
    const reading = await client.recognize(Buffer.from("pages=2"));
    assert.equal(reading.text, [1, 2].map(() => textOf("pages=2")).join("\f"));
    assert.deepEqual([reading.pages.length, reading.errors], [2, []]);
    const here = new URL("../../package.json", import.meta.url);
    assert.equal((await client.recognize(here)).text.length, 16);
    assert.deepEqual([service.unaryCalls, service.streams], [2, 0]);
  });

  void test("throws the error of the item as a whole", async () => {
    const { service, client } = await pair();
    const expected = { name: "OcrMuxError", code: Code.INVALID_ARGUMENT, reason: "IMAGE_EMPTY" };
    await assert.rejects(client.recognize(Buffer.from("error=IMAGE_EMPTY")), expected);
    assert.equal(service.unaryCalls, 1);
  });

  void test("of a path that cannot be read throws NOT_FOUND", async () => {
    const { client } = await pair();
    await assert.rejects(client.recognize("/nowhere/page.png"), { code: Code.NOT_FOUND, reason: "SOURCE_UNREADABLE" });
  });

  void test("sends content above 3 MiB in chunks, with the same result and the same errors", async () => {
    const { service, client } = await pair({ refusals: new Map([["whole", { times: 1, status: unavailable }]]) });
    const content = Buffer.alloc((3 << 20) + 1, 5);
    await assert.rejects(client.recognize(content), { code: Code.UNAVAILABLE, reason: "GATEWAY_UNAVAILABLE" });
    assert.equal((await client.recognize(content)).text, textOf(content));
    assert.deepEqual([service.unaryCalls, service.chunked.length], [0, 2]);
  });

  void test("that gRPC refuses for its size goes in chunks", async () => {
    const service = await new FakeService({ limits: { maxMessageBytes: 100_000 } }, 100_000).start();
    using client = new OcrMuxClient(service.target);
    const content = Buffer.alloc(300_000, 3);
    assert.equal((await client.recognize(content)).text, textOf(content));
    assert.deepEqual([service.chunked, service.breaches], [["whole"], []]);
    service.stop();
  });

  void test("throws the error of the only page, whole or in chunks; of one of several it stands in the reading", async () => {
    const { service, client } = await pair();
    for (const bytes of [6, 4 << 20]) {
      const saying = (what: string): Buffer => Buffer.alloc(bytes).fill(what, 0, what.length);
      await assert.rejects(client.recognize(saying("bad=1\0")), { reason: "IMAGE_UNDECODABLE" });
      const reading = await client.recognize(saying("bad=2\0"));
      assert.deepEqual([reading.pages.length, reading.errors.map(({ page }) => page)], [1, [2]]);
    }
    assert.deepEqual([service.unaryCalls, service.streams], [2, 2]);
  });

  void test("in chunks bears four failures, and not a fifth", async () => {
    const breaks = Array.from({ length: 4 }, () => ({ after: 0, status: unavailable }));
    const backoff = { sleep: () => Promise.resolve() };
    const content = Buffer.alloc(4 << 20);
    const { client } = await pair({ breaks: [...breaks] }, { backoff });
    assert.equal((await client.recognize(content)).text, textOf(content));
    const { service, client: other } = await pair({ breaks: [...breaks, ...breaks] }, { backoff });
    await assert.rejects(other.recognize(content), { code: Code.UNAVAILABLE });
    assert.equal(service.streams, 5);
  });

  void test("tells the server how long it waits", async () => {
    const { service, client } = await pair();
    await client.recognize(Buffer.from("x"), {}, { timeoutMs: 60_000 });
    const restMs = Number(service.deadline) - Date.now();
    assert.ok(restMs > 0 && restMs <= 60_000, `${restMs} ms`);
    await client.recognize(Buffer.from("x"), {}, { timeoutMs: Infinity });
    for (const timeoutMs of [0, -1]) {
      await assert.rejects(client.recognize(Buffer.from("x"), {}, { timeoutMs }), { code: Code.DEADLINE_EXCEEDED });
    }
  });

  for (const status of [
    unavailable,
    itemStatus(Code.RESOURCE_EXHAUSTED, "SERVER_BUSY", "later"),
    { code: Code.INTERNAL, message: "RST_STREAM", details: [] },
    { code: Code.CANCELLED, message: "stopping", details: [] },
  ]) {
    void test(`bears four failures with ${Code[status.code]}, and not a fifth`, async () => {
      const slept: number[] = [];
      const sleep = (ms: number): Promise<void> => Promise.resolve(void slept.push(ms));
      const backoff = { random: () => 0, sleep };
      const { service, client } = await pair({ refuseUnary: (call) => (call <= 9 ? status : undefined) }, { backoff });
      await assert.rejects(client.recognize(Buffer.from("x")), { code: status.code });
      assert.deepEqual([service.unaryCalls, slept], [5, [100, 200, 400, 800]]);
      assert.equal((await client.recognize(Buffer.from("x"))).text, textOf("x"));
    });
  }

  void test("waits as long as the server wants, and tells it", async () => {
    const slept: number[] = [];
    const sleep = (ms: number): Promise<void> => Promise.resolve(void slept.push(ms));
    const refuseUnary = () => retryAfter(unavailable, 1500);
    const { client } = await pair({ refuseUnary }, { backoff: { attempts: 1, sleep } });
    await assert.rejects(client.recognize(Buffer.from("x")), (error: unknown) => {
      assert.ok(error instanceof OcrMuxError);
      assert.deepEqual([error.retryAfterMs, error.details?.details.length, error.codeName], [1500, 2, "UNAVAILABLE"]);
      return true;
    });
    assert.deepEqual(slept, [1500]);
  });

  void test("ends after its time, tries and waits together", async () => {
    const { client } = await pair({ refuseUnary: () => unavailable }, { backoff: { ...FAST, attempts: 1e9 } });
    await assert.rejects(client.recognize(Buffer.from("x"), {}, { timeoutMs: 100 }), { code: Code.DEADLINE_EXCEEDED });
  });

  void test("in chunks ends after its time", async () => {
    const { client } = await pair({ held: () => true });
    const large = client.recognize(Buffer.alloc(4 << 20), {}, { timeoutMs: 200 });
    await assert.rejects(large, { code: Code.DEADLINE_EXCEEDED, message: "no answer within 200 ms" });
  });

  void test("ends with its signal", async () => {
    const { client } = await pair(
      { held: () => true, refuseUnary: () => unavailable },
      { backoff: { firstMs: 1e9, longestMs: 1e9 } },
    );
    for (const content of [Buffer.from("x"), Buffer.alloc(4 << 20)]) {
      const stop = new AbortController();
      const reading = client.recognize(content, {}, { signal: stop.signal });
      setImmediate(() => {
        stop.abort();
      });
      await assert.rejects(reading, { name: "AbortError" });
    }
  });

  for (const [name, config] of Object.entries({
    "a provider and a route": { provider: "a", route: "b" },
    "a document without its feature": { idDocument: "PASSPORT" },
    "a time limit of 0": { itemTimeoutMs: 0 },
    "a feature that there is not": { features: ["MUSIC" as "TEXT"] },
  } as const)) {
    void test(`with ${name} is misuse`, async () => {
      const { service, client } = await pair();
      await assert.rejects(client.recognize(Buffer.from("x"), config), UsageError);
      assert.throws(() => client.streamRecognize([], { config }), UsageError);
      assert.equal(service.unaryCalls, 0);
    });
  }
});

void describe("listProviders", () => {
  void test("asks the gateway, and the target where none is given", async () => {
    const { client } = await pair();
    assert.deepEqual((await client.listProviders()).providers.map(({ name }) => name), ["fake"]); // prettier-ignore
    const { service } = await pair();
    using other = new OcrMuxClient("127.0.0.1:1", { gatewayTarget: service.target });
    assert.equal((await other.listProviders()).providers.length, 1);
  });
});
