import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Server, ServerCredentials, status as Code } from "@grpc/grpc-js";
import { describe, test } from "node:test";
import { itemStatus } from "../src/errors.js";
import { OcrMuxClient, type OcrMuxError, type Status, type StreamPolicy } from "../src/index.js";
import { PreprocessServiceService, type StreamRecognizeRequest } from "../src/gen/ocrmux/preprocess/v1/preprocess.js";
import { ending, failed, page, retryAfter, textOf, type Plan, type ServerCall } from "./fake-service.js";
import { allOf, FAST, items, pair, told, turns, until, type Told } from "./stream-fixture.js";

const bare = (code: Code): Status => ({ code, message: "from below", details: [] });
const busy = itemStatus(Code.RESOURCE_EXHAUSTED, "SERVER_BUSY", "come again");

/** A policy whose waits take no time and are written down, with what the hook heard. */
function heard(policy: StreamPolicy = {}): { policy: StreamPolicy; slept: number[]; hook: string[] } {
  const slept: number[] = [];
  const hook: string[] = [];
  const sleep = (ms: number): Promise<void> => {
    slept.push(ms);
    return Promise.resolve();
  };
  const onReconnect = (failures: number, _: number, cause: OcrMuxError): void => {
    hook.push(`${failures} ${cause.codeName} ${cause.reason}`);
  };
  const backoff = { random: () => 1, sleep, ...policy.backoff };
  return { policy: { ...policy, backoff, onReconnect }, slept, hook };
}

/** Sends limits and then, at once or after the first item, does what it is told. */
function misbehaving(
  after: "limits" | "item",
  act: (call: ServerCall, item: string) => void,
): NonNullable<Plan["script"]> {
  return (call, stream) => {
    if (stream > 1) return false;
    call.on("data", ({ message }: { message: { $case: string; value: { requestId: string } } }) => {
      if (message.$case === "config") call.write({ message: { $case: "limits", value: LIMITS } });
      if ((message.$case === "config") === (after === "limits")) act(call, message.value.requestId);
    });
    return true;
  };
}

const LIMITS = { maxItemsInFlight: 0, maxBytesInFlight: 0, maxItemBytes: 0, maxMessageBytes: 0 };

function pagesOnce(...counts: number[]): string[] {
  return counts.flatMap((count, item) => Array.from({ length: count }, (_, index) => `item-${item} ${index + 1}`));
}

const idAndPage = (answers: Told[]): string[] => answers.map(([id, number]) => `${id} ${number}`);

void describe("a lost connection", () => {
  void test("costs no page and gives none twice, in the order of the items", async () => {
    const { service, client } = await pair({ breaks: [{ after: 3 }, { after: 4 }] });
    const contents = ["pages=5", "a", "pages=2", "b", "c"];
    const answers = await allOf(client.streamRecognize(items(contents), { policy: { backoff: FAST } }));
    assert.deepEqual(idAndPage(answers), pagesOnce(5, 1, 2, 1, 1));
    assert.deepEqual([service.streams, service.breaches], [3, []]);
  });

  void test("has what was with the server sent again in the old order, before what is new", async () => {
    const { service, client } = await pair({ held: () => service.streams === 1 });
    const answers = allOf(
      client.streamRecognize(items(["a", "b", "c", "d", "e"]), { policy: { backoff: FAST, concurrency: 3 } }),
    );
    await until(() => service.received.length === 3, "a full window");
    service.dropStreams();
    assert.equal((await answers).length, 5);
    const sent = ["item-0", "item-1", "item-2"];
    assert.deepEqual(service.received, [...sent, ...sent, "item-3", "item-4"]);
    assert.deepEqual(service.breaches, []);
  });

  void test("in batches of answers costs none either", async () => {
    const { client } = await pair({ together: 3, breaks: [{ after: 4 }] });
    const answers = await allOf(client.streamRecognize(items(["a", "pages=4", "b"]), { policy: { backoff: FAST } }));
    assert.deepEqual(idAndPage(answers), pagesOnce(1, 4, 1));
  });

  for (const [name, status] of [
    ["UNAVAILABLE", itemStatus(Code.UNAVAILABLE, "DRAINING", "")],
    ["UNAVAILABLE from below", bare(Code.UNAVAILABLE)],
    ["INTERNAL without a reason", bare(Code.INTERNAL)],
    ["CANCELLED by the server", bare(Code.CANCELLED)],
    ["SERVER_BUSY", busy],
  ] as [string, Status][]) {
    void test(`is a call that ends with ${name}`, async () => {
      const { service, client } = await pair({ breaks: [{ after: 1, status }] });
      const { policy, hook } = heard({ concurrency: 2 });
      assert.equal((await allOf(client.streamRecognize(items(["a", "b", "c"]), { policy }))).length, 3);
      assert.equal(service.streams, 2);
      assert.equal(hook.length, 1);
      assert.ok(hook[0]?.startsWith(`1 ${Code[status.code]}`));
    });
  }

  void test("is a call that ends with OK and items unanswered", async () => {
    const { client } = await pair({ breaks: [{ after: 1, quietly: true }] });
    const { policy, hook } = heard({ concurrency: 2 });
    assert.equal((await allOf(client.streamRecognize(items(["a", "b", "c"]), { policy }))).length, 3);
    assert.deepEqual(hook, ["1 UNAVAILABLE CONNECTION_LOST"]);
  });

  void test("is a call that ends with OK before anything is sent, with a wait before the next", async () => {
    const { service, client } = await pair({ breaks: Array.from({ length: 3 }, () => ({ after: 0, quietly: true })) });
    const { policy, slept } = heard();
    assert.equal((await allOf(client.streamRecognize(items(["a"]), { policy }))).length, 1);
    assert.deepEqual([service.streams, slept], [4, [200, 400, 800]]);
  });

  void test("is none where nothing is left to answer; the next stream comes after a wait all the same", async () => {
    let ended = 0;
    const script: Plan["script"] = (call) => {
      call.on("data", () => {
        call.write({ message: { $case: "limits", value: LIMITS } });
        setTimeout(() => {
          call.end();
          ended += 1;
        }, 5);
      });
      return true;
    };
    const { service, client } = await pair({ script });
    const { policy, slept } = heard();
    const gone = (async function* () {
      for (let index = 0; index < 8; index += 1) {
        yield { requestId: `gone-${index}`, content: "/nowhere/gone.png" };
        await until(() => ended > index, "the server's hanging up");
        await turns(50);
      }
    })();
    assert.equal((await allOf(client.streamRecognize(gone, { policy }))).length, 8);
    assert.ok(service.streams <= slept.length + 1, `${service.streams} streams, ${slept.length} waits`);
  });

  void test("is a server that is silent while items are with it", async () => {
    const { service, client } = await pair({ held: () => service.streams === 1 });
    const { policy, hook } = heard({ silenceMs: 1000 });
    assert.equal((await allOf(client.streamRecognize(items(["a"]), { policy }))).length, 1);
    assert.deepEqual(hook, ["1 UNAVAILABLE CONNECTION_LOST"]);
    await until(() => service.cancelled > 0, "the silent call's end");
  });

  void test("is a server that never sends its limits", async () => {
    const { client } = await pair({ script: (_, stream) => stream === 1 });
    const { policy, hook } = heard({ silenceMs: 1000 });
    assert.equal((await allOf(client.streamRecognize(items(["a"]), { policy }))).length, 1);
    assert.equal(hook.length, 1);
  });

  void test("while no item is on its way is none, however long the source takes", async () => {
    const { service, client } = await pair({ breaks: [{ after: 1 }] });
    const { policy, hook } = heard({ silenceMs: 1000 });
    const [first, second] = items(["a", "b"]);
    assert.ok(first && second);
    const slowly = (async function* () {
      yield first;
      await until(() => service.streams === 1, "the first stream");
      await new Promise((resolve) => setTimeout(resolve, 1300));
      yield second;
    })();
    assert.equal((await allOf(client.streamRecognize(slowly, { policy }))).length, 2);
    assert.deepEqual([hook, service.streams], [[], 2]);
  });
});

void describe("the waits between", () => {
  void test("double, are at least what the server wants, and at most the longest; the hook hears of each", async () => {
    const waits = [undefined, 900, 1_000_000, undefined].map((ms) => ({
      after: 0,
      status: ms === undefined ? {} : retryAfter(itemStatus(Code.UNAVAILABLE, "DRAINING", ""), ms),
    }));
    const { client } = await pair({ breaks: waits });
    const { policy, slept, hook } = heard();
    assert.equal((await allOf(client.streamRecognize(items(["a"]), { policy }))).length, 1);
    assert.deepEqual(slept, [200, 900, 10_000, 1600]);
    assert.deepEqual(hook, [1, 2, 3, 4].map((failures) => `${failures} UNAVAILABLE DRAINING`)); // prettier-ignore
  });

  void test("begin anew after any answer", async () => {
    const { client } = await pair({ breaks: [{ after: 0 }, { after: 0 }, { after: 1 }, { after: 0 }] });
    const { policy, slept } = heard({ concurrency: 1 });
    assert.equal((await allOf(client.streamRecognize(items(["pages=2", "b"]), { policy }))).length, 3);
    assert.deepEqual(slept, [200, 400, 200, 400]);
  });

  void test("begin anew after a CONTENT_REQUIRED too", async () => {
    const wanted = itemStatus(Code.NOT_FOUND, "CONTENT_REQUIRED", "");
    const script: Plan["script"] = (call, stream) => {
      if (stream > 4) return false;
      let came = 0;
      call.on("data", ({ message }: StreamRecognizeRequest) => {
        if (message?.$case === "config") call.write({ message: { $case: "limits", value: LIMITS } });
        else came += message?.$case === "batch" ? message.value.items.length : 1;
        if (came < 4) return;
        call.write({ message: { $case: "answer", value: failed(`item-${stream - 1}`, wanted) } });
        call.end();
      });
      return true;
    };
    const { client } = await pair({ script });
    const { policy, slept } = heard({ digestFirst: true, sendsPerItem: 99, backoff: { attempts: 2 } });
    assert.equal((await allOf(client.streamRecognize(items(["a", "b", "c", "d"]), { policy }))).length, 4);
    assert.deepEqual(slept, [200, 200, 200, 200]);
  });

  void test("end with the attempts: the last failure is the stream's error, after the answers before", async () => {
    const { service, client } = await pair({ breaks: [1, 0, 0, 0, 0].map((after) => ({ after })) });
    const { policy } = heard({ concurrency: 1, sendsPerItem: 99, backoff: { attempts: 3 } });
    const answers = client.streamRecognize(items(["pages=2", "b"]), { policy });
    assert.equal((await answers.next()).done, false);
    await assert.rejects(answers.next(), { name: "OcrMuxError", code: Code.UNAVAILABLE, reason: "DRAINING" });
    assert.deepEqual([await answers.next(), service.streams], [{ done: true, value: undefined }, 4]);
  });

  void test("without a server end with UNAVAILABLE", async () => {
    using client = new OcrMuxClient("127.0.0.1:1");
    const { policy, hook } = heard({ backoff: { attempts: 3 } });
    const answers = client.streamRecognize(items(["a"]), { policy });
    await assert.rejects(answers.next(), { code: Code.UNAVAILABLE, reason: "", details: undefined });
    assert.equal(hook.length, 3);
  });
});

void describe("an item that is moved", () => {
  void test("is answered on another stream, after the server's wait; what is with the first one is still taken", async () => {
    const status = retryAfter(busy, 700);
    const { service, client } = await pair({ refusals: new Map([["item-1", { times: 2, status }]]) });
    const { policy, slept } = heard({ concurrency: 2 });
    const answers = await allOf(client.streamRecognize(items(["a", "b", "c"]), { policy }));
    assert.deepEqual(answers.map(([, , text]) => text), [textOf("a"), textOf("b"), textOf("c")]); // prettier-ignore
    assert.equal(service.streams, 3);
    assert.deepEqual(slept.slice(0, 1), [700]);
    assert.deepEqual(service.breaches, []);
  });

  void test("as often as an item may be has its answer", async () => {
    const { service, client } = await pair({ refusals: new Map([["item-0", { times: 99, status: busy }]]) });
    const { policy } = heard({ sendsPerItem: 3 });
    const answers = await allOf(client.streamRecognize(items(["a", "b"]), { policy }));
    assert.deepEqual(answers.map(([, , text]) => text), ["SERVER_BUSY", textOf("b")]); // prettier-ignore
    assert.equal(service.streams, 4); // the first, and three moves
  });

  void test("has its lost connections counted apart", async () => {
    const script: Plan["script"] = (call, stream) => {
      if (stream > 3) return false;
      call.on("data", ({ message }: StreamRecognizeRequest) => {
        if (message?.$case === "config") call.write({ message: { $case: "limits", value: LIMITS } });
        else if (stream === 3) call.emit("error", ending(bare(Code.UNAVAILABLE)));
        else call.write({ message: { $case: "answer", value: failed("item-0", busy) } });
      });
      call.on("end", () => call.end());
      return true;
    };
    const { client } = await pair({ script });
    const { policy } = heard({ sendsPerItem: 2 });
    assert.deepEqual(await allOf(client.streamRecognize(items(["a"]), { policy })), [["item-0", 1, textOf("a"), true]]);
  });

  void test("for ever, like all others, is the stream's error: no such answer ends the row of failures", async () => {
    const refusals = new Map(Array.from({ length: 50 }, (_, index) => [`item-${index}`, { times: 99, status: busy }]));
    const { client } = await pair({ refusals });
    const { policy, hook } = heard({ sendsPerItem: 2, concurrency: 1, backoff: { attempts: 6 } });
    const answers = client.streamRecognize(items(Array.from({ length: 50 }, () => "a")), { policy });
    for (const id of ["item-0", "item-1", "item-2"]) assert.equal(told((await answers.next()).value as never)[0], id);
    await assert.rejects(answers.next(), { reason: "SERVER_BUSY" });
    assert.deepEqual(hook, [1, 2, 3, 4, 5, 6].map((failures) => `${failures} RESOURCE_EXHAUSTED SERVER_BUSY`)); // prettier-ignore
  });
});

void describe("an item's own limit", () => {
  void test("the item that always breaks the connection fails alone", async () => {
    const script: Plan["script"] = (call) => {
      call.on("data", ({ message }: { message: { $case: string; value: { requestId: string } } }) => {
        const id = message.value.requestId;
        if (message.$case === "config") call.write({ message: { $case: "limits", value: LIMITS } });
        else if (id === "item-1") call.emit("error", ending(bare(Code.UNAVAILABLE)));
        else call.write({ message: { $case: "answer", value: page(id, 1, 1, "read") } });
      });
      call.on("end", () => call.end());
      return true;
    };
    const { client } = await pair({ script });
    const { policy } = heard({ concurrency: 1, sendsPerItem: 2 });
    const answers = await allOf(client.streamRecognize(items(["a", "poison", "c"]), { policy }));
    assert.deepEqual(answers.map(([, , text]) => text), ["read", "CONNECTION_LOST", "read"]); // prettier-ignore
  });

  void test("counts connections, not messages: digest and content on one are one", async () => {
    const { client } = await pair({ breaks: [{ after: 2 }, { after: 1 }] });
    const { policy } = heard({ concurrency: 1, sendsPerItem: 3, digestFirst: true });
    const answers = await allOf(client.streamRecognize(items(["pages=3"]), { policy }));
    assert.deepEqual(idAndPage(answers), pagesOnce(3));
  });
});

void describe("pages once", () => {
  void test("a document that ends before a page which was given has an error, and the stream goes on", async () => {
    const script = misbehaving("item", (call, id) => {
      call.write({ message: { $case: "answer", value: { ...page(id, 1, 3, "one"), lastPage: false } } });
      call.write({ message: { $case: "answer", value: { ...page(id, 2, 3, "two"), lastPage: false } } });
      call.end();
    });
    const { client } = await pair({ script });
    const { policy } = heard({ concurrency: 1 });
    const answers = await allOf(client.streamRecognize(items(["a"]), { policy }));
    assert.deepEqual(answers, [["item-0", 1, "one", false], ["item-0", 2, "two", false], ["item-0", 0, "PROTOCOL_BROKEN", true]]); // prettier-ignore
  });

  void test("pages that are known by digest are not given again with the content", async () => {
    const content = Buffer.from("pages=2");
    const { client } = await pair({
      script: misbehaving("item", (call, id) => {
        call.write({ message: { $case: "answer", value: { ...page(id, 1, 2, "known"), lastPage: false } } });
        call.emit("error", ending(itemStatus(Code.UNAVAILABLE, "DRAINING", "")));
      }),
      known: new Set([createHash("sha256").update("else").digest("hex")]),
    });
    const { policy } = heard({ digestFirst: true });
    const answers = await allOf(client.streamRecognize(items([content]), { policy }));
    assert.deepEqual(answers.map(([, number]) => number), [1, 2]); // prettier-ignore
  });
});

void describe("any other ending", () => {
  for (const code of [Code.INVALID_ARGUMENT, Code.UNAUTHENTICATED, Code.PERMISSION_DENIED, Code.UNIMPLEMENTED]) {
    void test(`${Code[code]} is the stream's error at once`, async () => {
      const { service, client } = await pair({ breaks: [{ after: 0, status: itemStatus(code, "REASON", "no") }] });
      const answers = client.streamRecognize(items(["a"]));
      await assert.rejects(answers.next(), { name: "OcrMuxError", code, reason: "REASON", message: "no" });
      assert.equal(service.streams, 1);
    });
  }

  void test("comes after the answers that were taken before it", async () => {
    const status = itemStatus(Code.INVALID_ARGUMENT, "MESSAGE_UNEXPECTED", "");
    let end = (): void => undefined;
    const script = misbehaving("item", (call, id) => {
      call.write({ message: { $case: "answer", value: page(id, 1, 1, "read") } });
      end = () => call.emit("error", ending(status));
    });
    const { client } = await pair({ script });
    const answers = client.streamRecognize(items(["a", "b"]), { policy: { concurrency: 1 } });
    assert.equal(told((await answers.next()).value as never)[2], "read");
    end();
    await assert.rejects(answers.next(), { reason: "MESSAGE_UNEXPECTED" });
  });

  for (const [what, after, answer] of [
    ["limits sent twice", "limits", { $case: "limits", value: LIMITS }],
    ["an answer that nobody waits for", "item", { $case: "answer", value: page("else", 1, 1, "") }],
    ["a message without a kind", "item", undefined],
  ] as const) {
    void test(`${what} is a breach of protocol`, async () => {
      const { service, client } = await pair({ script: misbehaving(after, (call) => call.write({ message: answer })) });
      const expected = { code: Code.INTERNAL, reason: "PROTOCOL_BROKEN" };
      await assert.rejects(client.streamRecognize(items(["a"])).next(), expected);
      await until(() => service.cancelled > 0, "the call's end");
    });
  }

  void test("bytes that are no message are a breach of protocol", async () => {
    const server = new Server();
    const answers = (call: ServerCall): void => {
      call.on("data", () => call.write(Buffer.from([0xff, 0xff]) as never));
    };
    const method = PreprocessServiceService.streamRecognize;
    server.addService({ streamRecognize: { ...method, responseSerialize: (bytes: Buffer) => bytes } }, { streamRecognize: answers }); // prettier-ignore
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => {
        if (error) reject(error);
        else resolve(bound);
      });
    });
    using client = new OcrMuxClient(`127.0.0.1:${port}`);
    const expected = { code: Code.INTERNAL, reason: "PROTOCOL_BROKEN" };
    await assert.rejects(client.streamRecognize(items(["a"])).next(), expected);
    server.forceShutdown();
  });

  void test("an answer before the limits is a breach of protocol", async () => {
    const script = (call: ServerCall): boolean =>
      call.write({ message: { $case: "answer", value: page("item-0", 1, 1, "") } });
    const { client } = await pair({ script });
    await assert.rejects(client.streamRecognize(items(["a"])).next(), { reason: "PROTOCOL_BROKEN" });
  });
});
