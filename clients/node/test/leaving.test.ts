import assert from "node:assert/strict";
import { status as Code } from "@grpc/grpc-js";
import { describe, test } from "node:test";
import { OcrMuxClient, OcrMuxError, type Item } from "../src/index.js";
import { FakeService, page, type ServerCall } from "./fake-service.js";
import { allOf, FAST, items, pair, turns, until } from "./stream-fixture.js";

/** Endless items that say when they are closed. */
function endless(): { source: AsyncGenerator<Item>; closed: () => boolean; drawn: () => number } {
  let closed = false;
  let drawn = 0;
  const source = (async function* () {
    try {
      for (;;) {
        drawn += 1;
        yield await Promise.resolve({ requestId: String(drawn), content: Buffer.from("x") });
      }
    } finally {
      closed = true;
    }
  })();
  return { source, closed: () => closed, drawn: () => drawn };
}

const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;

void describe("leaving early", () => {
  void test("cancels the call, closes the source and leaves no timer", async () => {
    const { service, client } = await pair({ held: (id) => id === "2" });
    const { source, closed, drawn } = endless();
    const before = timers();
    for await (const answer of client.streamRecognize(source, { policy: { timeoutMs: 60_000 } })) {
      assert.equal(answer.requestId, "1");
      break;
    }
    assert.ok(closed());
    assert.ok(drawn() < 80);
    await until(() => service.cancelled === 1, "the call's end");
    await until(() => timers() <= before, "timers of the stream");
  });

  void test("ends a next that waits", async () => {
    const { service, client } = await pair({ held: () => true });
    const answers = client.streamRecognize(items(["a"]));
    const waiting = answers.next();
    await until(() => service.received.length === 1, "the item");
    assert.deepEqual(await answers.return(), { done: true, value: undefined });
    assert.deepEqual(await waiting, { done: true, value: undefined });
    await until(() => service.cancelled === 1, "the call's end");
  });

  void test("before the first answer is asked for opens nothing", async () => {
    const { service, client } = await pair();
    {
      await using answers = client.streamRecognize(items(["a"]));
      assert.ok(answers);
    }
    const left = client.streamRecognize(items(["a"]));
    await left.return();
    assert.deepEqual([(await left.next()).done, service.streams], [true, 0]);
  });

  void test("in the middle of a write that the server does not take ends it", async () => {
    let call: ServerCall | undefined;
    const { service, client } = await pair({
      script: (opened) => {
        call = opened;
        opened.once("data", () => {
          opened.pause();
          opened.write({ message: { $case: "limits", value: service.limits } });
        });
        return true;
      },
    });
    const wanted = Array.from({ length: 64 }, (_, index) => ({
      requestId: `${index}`,
      content: Buffer.alloc(1 << 20),
    }));
    const answers = client.streamRecognize(wanted, { policy: { concurrency: 64 } });
    const waiting = answers.next();
    await until(() => call?.isPaused() === true, "the server's pause");
    await turns(500);
    await answers.return();
    assert.equal((await waiting).done, true);
    call?.resume();
    await until(() => service.cancelled === 1, "the call's end");
  });
});

void describe("a signal", () => {
  void test("ends the stream with its reason", async () => {
    const { service, client } = await pair({ held: () => true });
    const stop = new AbortController();
    const { source, closed } = endless();
    const waiting = client.streamRecognize(source, { signal: stop.signal }).next();
    await until(() => service.received.length > 0, "an item");
    const reason = new Error("enough");
    stop.abort(reason);
    await assert.rejects(waiting, reason);
    assert.ok(closed());
    await until(() => service.cancelled === 1, "the call's end");
  });

  void test("that was given before opens nothing", async () => {
    const { service, client } = await pair();
    const answers = client.streamRecognize(items(["a"]), { signal: AbortSignal.abort() });
    await assert.rejects(answers.next(), { name: "AbortError" });
    assert.equal(service.streams, 0);
  });

  void test("ends the wait before the next connection", async () => {
    using client = new OcrMuxClient("127.0.0.1:1");
    const stop = new AbortController();
    const onReconnect = (): void => {
      setImmediate(() => {
        stop.abort();
      });
    };
    const policy = { backoff: { firstMs: 3_600_000, longestMs: 3_600_000 }, onReconnect };
    await assert.rejects(client.streamRecognize(items(["a"]), { policy, signal: stop.signal }).next(), {
      name: "AbortError",
    });
  });
});

void describe("a deadline", () => {
  void test("ends the stream with DEADLINE_EXCEEDED, after the answers before", async () => {
    const { service, client } = await pair({ held: (id) => id === "item-1" });
    const answers = client.streamRecognize(items(["a", "b"]), { policy: { timeoutMs: 2000 } });
    assert.equal((await answers.next()).done, false);
    await assert.rejects(answers.next(), { name: "OcrMuxError", code: Code.DEADLINE_EXCEEDED });
    await until(() => service.cancelled === 1, "the call's end");
  });

  void test("holds while the source gives nothing", async () => {
    const { client } = await pair();
    const never = (async function* (): AsyncGenerator<Item> {
      await new Promise(() => undefined);
      yield* [];
    })();
    const answers = client.streamRecognize(never, { policy: { timeoutMs: 30 } });
    await assert.rejects(answers.next(), { code: Code.DEADLINE_EXCEEDED });
  });
});

void describe("a source", () => {
  void test("that throws ends the stream with its error, after the answers before", async () => {
    const { service, client } = await pair();
    const fault = new Error("the disk is gone");
    const faulty = (async function* () {
      yield* items(["a"]);
      await until(() => service.received.length === 1, "the first item");
      await turns();
      throw fault;
    })();
    const answers = client.streamRecognize(faulty);
    assert.equal((await answers.next()).done, false);
    await assert.rejects(answers.next(), fault);
    await until(() => service.cancelled === 1, "the call's end");
  });

  void test("that is a plain iterable and throws does so too", async () => {
    const { client } = await pair();
    const fault = new RangeError("no more");
    // eslint-disable-next-line require-yield
    function* faulty(): Generator<Item> {
      throw fault;
    }
    await assert.rejects(client.streamRecognize(faulty()).next(), fault);
  });

  void test("that throws what looks like an end of the call is heard of", async () => {
    for (const fault of [new DOMException("aborted", "AbortError"), new OcrMuxError(Code.UNAVAILABLE, "", "its own")]) {
      const { service, client } = await pair();
      const faulty = (async function* () {
        yield* items(["a"]);
        await until(() => service.received.length === 1, "the first item");
        service.dropStreams();
        throw fault;
      })();
      const policy = { backoff: FAST, ordered: false };
      await assert.rejects(allOf(client.streamRecognize(faulty, { policy })), (error) => error === fault);
    }
  });

  void test("that gives nothing for ever does not keep answers back, nor leaving", async () => {
    const { service, client } = await pair();
    const stuck = (async function* () {
      yield* items(["a", "b"]);
      await new Promise(() => undefined);
    })();
    const answers = client.streamRecognize(stuck);
    const ids = [(await answers.next()).value?.requestId, (await answers.next()).value?.requestId];
    assert.deepEqual(ids, ["item-0", "item-1"]);
    await answers.return();
    await until(() => service.cancelled === 1, "the call's end");
  });

  void test("whose closing throws is heard of", async () => {
    const { client } = await pair();
    const source: Iterable<Item> = {
      [Symbol.iterator]: () => ({
        next: () => ({ done: false, value: { requestId: "one", content: Buffer.from("x") } }),
        return: () => {
          throw new Error("cannot close");
        },
      }),
    };
    await assert.rejects(client.streamRecognize(source, { signal: AbortSignal.abort() }).next(), {
      name: "AbortError",
    });
    const again = [{ requestId: "one", content: Buffer.from("x") }];
    assert.equal((await allOf(client.streamRecognize(again))).length, 1);
  });
});

void describe("both ends writing", () => {
  void test("never wait for each other", async () => {
    const blob = Buffer.alloc(64_000);
    const script = (call: ServerCall): boolean => {
      let waiting = Promise.resolve();
      call.on("data", ({ message }: { message: { $case: string; value: { requestId: string } } }) => {
        if (message.$case === "config") {
          call.write({ message: { $case: "limits", value: service.limits } });
          return;
        }
        call.pause(); // reads nothing more until the client has taken large answers
        waiting = waiting.then(async () => {
          for (let number = 1; number <= 20; number += 1) {
            const answer = { ...page(message.value.requestId, number, 20, "x"), rawResponse: blob };
            await new Promise<void>((resolve) => call.write({ message: { $case: "answer", value: answer } }, () => { resolve(); })); // prettier-ignore
          }
          call.resume();
        });
      });
      call.on("end", () => void waiting.then(() => call.end()));
      return true;
    };
    const { service, client } = await pair({ script });
    const wanted = Array.from({ length: 20 }, (_, index) => ({
      requestId: `${index}`,
      content: Buffer.alloc(900_000),
    }));
    assert.equal((await allOf(client.streamRecognize(wanted))).length, 400);
  });
});

void describe("closing the client", () => {
  void test("ends its streams with CANCELLED", async () => {
    const service = await new FakeService({ held: () => true }).start();
    const client = new OcrMuxClient(service.target);
    const waiting = client.streamRecognize(items(["a"])).next();
    await until(() => service.received.length === 1, "the item");
    client.close();
    await assert.rejects(waiting, { name: "OcrMuxError", code: Code.CANCELLED });
    service.stop();
  });

  void test("lets the process end", async () => {
    const { spawn } = await import("node:child_process");
    const service = await new FakeService({ held: () => true }).start();
    const module = new URL("../src/index.js", import.meta.url).href;
    const program = `
      import { OcrMuxClient } from ${JSON.stringify(module)};
      const client = new OcrMuxClient(${JSON.stringify(service.target)});
      const answers = client.streamRecognize([{ requestId: "a", content: Buffer.from("x") }]);
      void answers.next();
      process.stdin.once("data", async () => { await answers.return(); client.close(); process.stdin.destroy(); });`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
      stdio: ["pipe", "inherit", "inherit"],
    });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    await until(() => service.received.length === 1, "the item");
    child.stdin.write("go\n");
    assert.equal(await ended, 0);
    service.stop();
  });
});
