import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, test } from "node:test";
import { OcrMuxClient, UsageError, type Item } from "../src/index.js";
import { page, textOf, type ServerCall } from "./fake-service.js";
import { allOf, items, pair, told, turns, until } from "./stream-fixture.js";

const sha256 = (content: string): string => createHash("sha256").update(content).digest("hex");

void describe("opening", () => {
  void test("the config goes first and alone, until the limits have come", async () => {
    let before = 0;
    const script = (call: ServerCall): boolean => {
      const heard: string[] = [];
      call.on("data", ({ message }: { message: { $case: string } }) => {
        heard.push(message.$case);
        if (message.$case !== "config") {
          call.write({ message: { $case: "answer", value: page("item-0", 1, 1, "a") } });
          call.end();
          return;
        }
        void turns().then(() => {
          before = heard.length;
          call.write({ message: { $case: "limits", value: { ...service.limits } } });
        });
      });
      return true;
    };
    const { service, client } = await pair({ script });
    assert.equal((await allOf(client.streamRecognize(items(["a"])))).length, 1);
    assert.equal(before, 1);
  });

  void test("what the caller wants stands in the config and at the item", async () => {
    const { service, client } = await pair();
    const wanted: Item[] = [
      {
        requestId: "发票-ü-🧾",
        content: Buffer.from("x"),
        regions: [{ x: 1, y: 2, width: 3, height: 4 }],
        password: "p",
      },
    ];
    const config = { provider: "fake", languages: ["de", "fr"], itemTimeoutMs: 1500, profile: "none" };
    const [answer] = await allOf(client.streamRecognize(wanted, { config }));
    assert.equal(answer?.[0], "发票-ü-🧾");
    const [sent] = service.configs;
    assert.ok(sent?.recognition && sent.batchedAnswers && !sent.ordered);
    assert.deepEqual(sent.recognition.reader, { $case: "provider", value: "fake" });
    assert.deepEqual(sent.recognition.itemTimeout, { seconds: 1, nanos: 500_000_000 });
    assert.deepEqual(sent.recognition.languages, ["de", "fr"]);
    assert.equal(sent.normalization?.profile, "none");
    assert.deepEqual([service.items[0]?.regions[0]?.width, service.items[0]?.password], [3, "p"]);
  });

  void test("without items nothing is opened", async () => {
    const { service, client } = await pair();
    assert.deepEqual(await allOf(client.streamRecognize([])), []);
    assert.equal(service.streams, 0);
  });
});

void describe("window", () => {
  for (const [concurrency, serverMax, expected] of [
    [3, 16, 3],
    [8, 2, 2],
  ] as const) {
    void test(`of ${concurrency} here and ${serverMax} there ${expected} are on their way, and no more are drawn`, async () => {
      const { service, client } = await pair({ limits: { maxItemsInFlight: serverMax }, held: () => true });
      let drawn = 0;
      function* source(): Generator<Item> {
        for (const item of items(Array<string>(20).fill("x"))) {
          drawn += 1;
          yield item;
        }
      }
      const answers = client.streamRecognize(source(), { policy: { concurrency } });
      const first = answers.next();
      await until(() => service.mostInFlight === expected, "a full window");
      await turns();
      assert.deepEqual([service.mostInFlight, drawn], [expected, expected]);
      service.release();
      await first;
      assert.equal((await allOf(answers)).length, 19);
      assert.equal(service.mostInFlight, expected);
      assert.deepEqual(service.breaches, []);
    });
  }

  void test("bytes on their way stay within the server's limit; one item alone is let through", async () => {
    const { service, client } = await pair({ limits: { maxBytesInFlight: 1000 }, held: () => true });
    const contents = ["a".repeat(600), "b".repeat(300), "c".repeat(5000), "d"];
    const answers = client.streamRecognize(items(contents));
    const first = answers.next();
    await until(() => service.received.length === 2, "what fits");
    await turns();
    assert.equal(service.mostInFlight, 2);
    service.release();
    await first;
    assert.equal((await allOf(answers)).length, 3);
    assert.equal(service.mostInFlight, 2);
  });

  void test("a few hundred megabytes pass through a window of a few", async () => {
    const service = fork(new URL("fake-process.js", import.meta.url));
    const [target] = (await once(service, "message")) as [string];
    using client = new OcrMuxClient(target);
    let [drawn, taken, mostHere, mostBytes] = [0, 0, 0, 0];
    function* source(): Generator<Item> {
      while (drawn < 300) {
        drawn += 1;
        mostHere = Math.max(mostHere, drawn - taken);
        yield { requestId: `g${drawn}`, content: Buffer.alloc(1_000_000, drawn) };
      }
    }
    for await (const answer of client.streamRecognize(source(), { policy: { concurrency: 4 } })) {
      taken += 1;
      assert.equal(answer.requestId, `g${taken}`);
      mostBytes = Math.max(mostBytes, process.memoryUsage().external);
    }
    service.disconnect();
    assert.equal(taken, 300);
    assert.ok(mostHere <= 8, `${mostHere} items were here at a time`);
    assert.ok(mostBytes < 150 << 20, `${mostBytes} bytes of buffers`);
  });
});

void describe("order", () => {
  const contents = ["pages=2", "one", "error=IMAGE_EMPTY"];

  void test("answers that come backwards are given in the order of the items, pages together", async () => {
    const { client } = await pair({ backwards: true });
    assert.deepEqual(await allOf(client.streamRecognize(items(contents))), [
      ["item-0", 1, textOf("pages=2"), false],
      ["item-0", 2, textOf("pages=2"), true],
      ["item-1", 1, textOf("one"), true],
      ["item-2", 0, "IMAGE_EMPTY", true],
    ]);
  });

  void test("unordered answers are given as they come", async () => {
    const { client } = await pair({ backwards: true });
    const answers = await allOf(client.streamRecognize(items(contents), { policy: { ordered: false } }));
    assert.deepEqual(
      answers.map(([id]) => id),
      ["item-2", "item-1", "item-0", "item-0"],
    );
  });

  void test("no more than the span is started beyond the oldest that is unfinished", async () => {
    const { service, client } = await pair({ held: (id) => id === "item-0" });
    const answers = client.streamRecognize(items(Array<string>(200).fill("x")), { policy: { concurrency: 2 } });
    const first = answers.next();
    await until(() => service.received.length >= 64, "the span");
    await turns();
    assert.equal(service.received.length, 64);
    service.release();
    await first;
    assert.equal((await allOf(answers)).length, 199);
  });
});

void describe("a slow caller", () => {
  void test("stops what is sent, and loses nothing", async () => {
    const { service, client } = await pair();
    const answers = client.streamRecognize(items(Array<string>(500).fill("x")), { policy: { concurrency: 2 } });
    await answers.next();
    await turns(1000);
    assert.ok(service.received.length < 40, `${service.received.length} were sent`);
    assert.equal((await allOf(answers)).length, 499);
  });

  void test("is no silence of the server", async () => {
    const { service, client } = await pair();
    const policy = { concurrency: 1, silenceMs: 1500 };
    const answers = client.streamRecognize(items(Array<string>(20).fill("pages=3")), { policy });
    await answers.next();
    const startMs = performance.now();
    await until(() => performance.now() > startMs + 1800, "a caller's pause");
    assert.equal((await allOf(answers)).length, 59);
    assert.equal(service.streams, 1);
  });

  void test("that blocks the event loop is none either", async () => {
    const { service, client } = await pair({ held: () => true });
    const first = client.streamRecognize(items(["x"]), { policy: { silenceMs: 1500 } }).next();
    await until(() => service.received.length === 1, "the item");
    await turns();
    const untilMs = performance.now() + 2000;
    while (performance.now() < untilMs) continue;
    service.release();
    assert.equal(told((await first).value as never)[2], textOf("x"));
    assert.equal(service.streams, 1);
  });
});

void describe("content", () => {
  const folder = mkdtempSync(join(tmpdir(), "ocrmux-"));
  process.on("exit", () => {
    rmSync(folder, { recursive: true, force: true });
  });
  const file = (name: string, content: string | Uint8Array): string => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };

  void test("above 1 MiB, or above the limit on messages, goes in chunks within that limit, and arrives whole", async () => {
    const large = Buffer.from(Array.from({ length: 3_500_000 }, (_, index) => index % 251));
    const { service, client } = await pair({ limits: { maxMessageBytes: 200_000 } });
    const wanted = items([pathToFileURL(file("large", large)), "m".repeat(300_000), "small"]);
    const answers = await allOf(client.streamRecognize(wanted));
    const texts = [textOf(large), textOf("m".repeat(300_000)), textOf("small")];
    assert.deepEqual(answers.map(([, , text]) => text), texts); // prettier-ignore
    assert.deepEqual(service.chunked, ["item-0", "item-1"]);
    assert.ok(service.largestMessageBytes <= 200_000);
    assert.deepEqual(service.breaches, []);
  });

  void test("of exactly 1 MiB goes whole, of one byte more in chunks", async () => {
    const { service, client } = await pair();
    await allOf(client.streamRecognize(items([Buffer.alloc(1 << 20), Buffer.alloc((1 << 20) + 1)])));
    assert.deepEqual(service.chunked, ["item-1"]);
  });

  void test("that cannot be read, or is too large, is answered here, and the rest is read", async () => {
    const { service, client } = await pair({ limits: { maxItemBytes: 10_000 } });
    const contents = [pathToFileURL(join(folder, "gone")), pathToFileURL(folder), "x".repeat(10_001), "fine"];
    for (const digestFirst of [false, true]) {
      const all = await allOf(client.streamRecognize(items(contents), { policy: { digestFirst } }));
      assert.deepEqual(all.map(([, , text]) => text), ["SOURCE_UNREADABLE", "SOURCE_UNREADABLE", "IMAGE_TOO_LARGE_BYTES", textOf("fine")]); // prettier-ignore
    }
    assert.deepEqual(new Set(service.received), new Set(["item-3"]));
  });

  void test("without an end is answered here, by content and by digest", async () => {
    const { service, client } = await pair({ limits: { maxItemBytes: 3 << 20 } });
    for (const digestFirst of [false, true]) {
      const endless = [{ requestId: "endless", content: "/dev/zero" }, ...items(["x"])];
      const answers = await allOf(client.streamRecognize(endless, { policy: { digestFirst } }));
      assert.deepEqual(answers.map(([, , text]) => text), ["IMAGE_TOO_LARGE_BYTES", textOf("x")]); // prettier-ignore
    }
    assert.deepEqual(service.breaches, []);
  });

  void test("two items of one id on their way are the caller's mistake, told after the answers before", async () => {
    const { client } = await pair({ held: (id) => id === "same" });
    const wanted = ["one", "same", "same"].map((requestId) => ({ requestId, content: Buffer.from("x") }));
    const answers = client.streamRecognize(wanted, { policy: { ordered: false } });
    await assert.rejects(
      allOf(answers),
      (error: unknown) => error instanceof UsageError && /two items/.test(error.message),
    );
  });

  void test("an id is free again once its item is answered", async () => {
    const { client } = await pair();
    const wanted = ["same", "same"].map((requestId) => ({ requestId, content: Buffer.from("x") }));
    assert.equal((await allOf(client.streamRecognize(wanted, { policy: { concurrency: 1 } }))).length, 2);
  });

  for (const requestId of ["", "x".repeat(129), "\ud800"]) {
    void test(`the id ${JSON.stringify(requestId.slice(0, 9))} is refused here`, async () => {
      const { client } = await pair();
      await assert.rejects(allOf(client.streamRecognize([{ requestId, content: Buffer.from("x") }])), UsageError);
    });
  }
});

void describe("digest first", () => {
  const policy = { digestFirst: true };

  void test("only content that the server does not know is sent, and the order is kept", async () => {
    const { service, client } = await pair({ known: new Set([sha256("old")]) });
    const answers = await allOf(client.streamRecognize(items(["new", "old", "newer"]), { policy }));
    assert.deepEqual(answers.map(([, , text]) => text), [textOf("new"), textOf("known"), textOf("newer")]); // prettier-ignore
    const contents = service.items.flatMap(({ image }) =>
      image?.source?.$case === "content" ? [String(image.source.value)] : [],
    );
    assert.deepEqual(contents.sort(), ["new", "newer"]);
    assert.deepEqual(service.breaches, []);
  });

  void test("digests that are ready together go in one message", async () => {
    const old = Array.from({ length: 12 }, (_, index) => `old ${index}`);
    const { service, client } = await pair({ known: new Set(old.map(sha256)) });
    const answers = await allOf(client.streamRecognize(items([...old, "new 1", "new 2"]), { policy }));
    assert.equal(answers.length, 14);
    assert.ok(Math.max(...service.batches) > 1, "no batch");
    assert.ok(service.mostInFlight <= 8);
    assert.deepEqual(service.breaches, []);
  });

  void test("digests that are too long for one message go singly", async () => {
    const { service, client } = await pair({ limits: { maxMessageBytes: 2500 }, known: new Set([sha256("x")]) });
    const regions = Array.from({ length: 60 }, (_, index) => ({ x: 1, y: 1, width: 10 + index, height: 20 }));
    const wanted = items(Array<string>(6).fill("x")).map((item) => ({ ...item, regions }));
    assert.equal((await allOf(client.streamRecognize(wanted, { policy }))).length, 6);
    assert.deepEqual([service.batches, service.breaches], [[], []]);
  });

  void test("an item whose content is asked for goes before items that are new", async () => {
    const { service, client } = await pair();
    const wanted = items(["a", "b", "c"]);
    await allOf(client.streamRecognize(wanted, { policy: { ...policy, concurrency: 1 } }));
    assert.deepEqual(service.items.map(({ requestId }) => requestId), wanted.flatMap(({ requestId: id }) => [id, id])); // prettier-ignore
  });
});

void describe("batched answers", () => {
  void test("are given one by one", async () => {
    const { service, client } = await pair({ together: 3 });
    const answers = await allOf(client.streamRecognize(items(["pages=3", "error=IMAGE_EMPTY", "pages=2"])));
    assert.deepEqual(answers.map(([id, page]) => `${id} ${page}`), ["item-0 1", "item-0 2", "item-0 3", "item-1 0", "item-2 1", "item-2 2"]); // prettier-ignore
    assert.ok(service.answerBatches.includes(3));
  });
});
