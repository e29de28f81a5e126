import assert from "node:assert/strict";
import { Metadata, status as Code } from "@grpc/grpc-js";
import { describe, test } from "node:test";
import { AnswerOrder } from "../src/answer-order.js";
import { itemStatus } from "../src/errors.js";
import { Backoff, errorOf, OcrMuxClient, OcrMuxError, Reading, UsageError } from "../src/index.js";
import { ErrorInfo } from "../src/gen/google/rpc/error_details.js";
import { Silence } from "../src/silence.js";
import { sleep, unlessAborted } from "../src/waiting.js";
import { ending, failed, page } from "./fake-service.js";
import { turns } from "./stream-fixture.js";

void describe("a backoff", () => {
  void test("doubles from the first wait to the longest, cut by half at most", () => {
    const low = new Backoff({ random: () => 0 });
    const high = new Backoff({ random: () => 1 });
    assert.deepEqual([1, 2, 3, 6, 7, 99].map((failures) => high.waitMs(failures)), [200, 400, 800, 6400, 10_000, 10_000]); // prettier-ignore
    assert.deepEqual([1, 99].map((failures) => low.waitMs(failures)), [100, 5000]); // prettier-ignore
    assert.deepEqual([low.waitMs(1, 3000), low.waitMs(1, 99_999), low.waitMs(9, 1)], [3000, 10_000, 5000]);
    assert.equal(low.attempts, 8);
  });

  void test("refuses values out of range", () => {
    for (const options of [{ attempts: -1 }, { firstMs: -1 }, { longestMs: Number.NaN }, { factor: 0.5 }]) {
      assert.throws(() => new Backoff(options), UsageError);
    }
  });

  void test("sleeps no longer than the signal allows", async () => {
    const stop = new AbortController();
    const slept = sleep(1e12, stop.signal);
    stop.abort(new Error("up"));
    await assert.rejects(slept, /up/);
    await assert.rejects(sleep(1, stop.signal), /up/);
    await sleep(1, new AbortController().signal);
  });
});

void describe("a policy", () => {
  for (const policy of [
    { concurrency: 0 },
    { concurrency: 1.5 },
    { sendsPerItem: 0 },
    { silenceMs: 0 },
    { timeoutMs: 0 },
  ]) {
    void test(`with ${JSON.stringify(policy)} is misuse`, () => {
      using client = new OcrMuxClient("127.0.0.1:1");
      assert.throws(() => client.streamRecognize([], { policy }), UsageError);
    });
  }
});

void describe("the order of answers", () => {
  void test("holds back what comes before its turn", () => {
    const order = new AnswerOrder<{ lastPage: boolean; text: string }>(true);
    const [first, second, third] = [order.start(), order.start(), order.start()];
    assert.equal(order.lag, 3);
    const answer = (text: string, lastPage = true): { lastPage: boolean; text: string } => ({ text, lastPage });
    const given = (place: number, text: string, last = true): string =>
      order.take(place, answer(text, last)).map(({ text }) => text).join(" "); // prettier-ignore
    assert.equal(given(second, "2"), "");
    assert.equal(given(first, "1a", false), "1a");
    assert.equal(given(third, "3a", false), "");
    assert.equal(given(first, "1b"), "1b 2 3a");
    assert.equal(given(third, "3b"), "3b");
    assert.equal(order.lag, 0);
  });
});

void describe("a silence", () => {
  void test("is counted while it is listened to: a pause, or a blocked event loop, is an eighth at most", () => {
    let nowMs = 0;
    const silence = new Silence(8000, () => nowMs);
    for (let slice = 0; slice < 7; slice += 1) {
      assert.ok(silence.look() !== undefined);
      nowMs += 1_000_000;
    }
    assert.equal(silence.look(), 1000);
    nowMs += 999;
    assert.equal(silence.look(), 1);
    nowMs += 1;
    assert.equal(silence.look(), undefined);
    silence.end();
    assert.equal(silence.look(), 1000);
  });
});

void describe("a wait", () => {
  void test("that begins when its signal has aborted leaves no failure that nobody hears of", async () => {
    const heard: unknown[] = [];
    const hear = (reason: unknown): void => void heard.push(reason);
    process.on("unhandledRejection", hear);
    const failing = Promise.reject(new Error("the file is gone"));
    await assert.rejects(unlessAborted(failing, AbortSignal.abort()), { name: "AbortError" });
    await turns();
    process.off("unhandledRejection", hear);
    assert.deepEqual(heard, []);
  });
});

void describe("an error", () => {
  const call = (status: ReturnType<typeof ending>): OcrMuxError =>
    OcrMuxError.fromCall(Object.assign(new Error("x"), status));

  void test("has what the trailers tell", () => {
    const error = call(ending(itemStatus(Code.OUT_OF_RANGE, "TOO_MANY_PAGES", "too many", { limit: "5" })));
    assert.deepEqual([error.codeName, error.reason, error.message, error.metadata], ["OUT_OF_RANGE", "TOO_MANY_PAGES", "too many", { limit: "5" }]); // prettier-ignore
    assert.equal(String(error), "OUT_OF_RANGE TOO_MANY_PAGES: too many");
    assert.ok(error instanceof Error && error.details !== undefined && error.retryAfterMs === undefined);
  });

  void test("tells the call's own status where the trailers are damaged, or another's", () => {
    for (const bytes of [Buffer.from([0xff, 0xff, 0xff]), Buffer.from([8, 3])]) {
      const metadata = new Metadata();
      metadata.set("grpc-status-details-bin", bytes);
      const error = call({ code: Code.UNAVAILABLE, details: "a proxy", metadata });
      assert.deepEqual([error.code, error.reason, error.message, error.details], [Code.UNAVAILABLE, "", "a proxy", undefined]); // prettier-ignore
    }
  });

  void test("of a code that gRPC does not have is UNKNOWN; damaged details are left out", () => {
    const details = [{ typeUrl: "x/google.rpc.ErrorInfo", value: Buffer.from([0xff]) }, { typeUrl: "odd", value: Buffer.of() }]; // prettier-ignore
    const error = OcrMuxError.fromStatus({ code: 99, message: "m", details });
    assert.deepEqual([error.codeName, error.reason], ["UNKNOWN", ""]);
  });

  void test("has a reason of the services' own domain only", () => {
    const value = Buffer.from(
      ErrorInfo.encode({ reason: "X", domain: "proxy.example", metadata: { a: "b" } }).finish(),
    );
    const details = [{ typeUrl: "type.googleapis.com/google.rpc.ErrorInfo", value }];
    const error = OcrMuxError.fromStatus({ code: Code.INTERNAL, message: "m", details });
    assert.deepEqual([error.reason, error.metadata], ["", {}]);
  });

  void test("of a page stands in the reading", () => {
    const bad = { ...failed("", itemStatus(Code.INVALID_ARGUMENT, "IMAGE_UNDECODABLE", "")), page: 2 };
    const reading = new Reading([page("", 1, 2, "one"), bad]);
    assert.deepEqual([reading.text, reading.errors.map(({ page, error }) => [page, error.reason])], ["one", [[2, "IMAGE_UNDECODABLE"]]]); // prettier-ignore
    assert.equal(errorOf(page("", 1, 1, "")), undefined);
  });
});
