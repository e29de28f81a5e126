/** What the tests of streams share: a fake, a client of it, and waits for conditions. */

import assert from "node:assert/strict";
import { after as afterTests } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { errorOf, OcrMuxClient, pagesOf, type ClientOptions, type Item, type PageAnswer } from "../src/index.js";
import type { BackoffOptions } from "../src/index.js";
import { FakeService, type Plan } from "./fake-service.js";

const WAIT_MAX_MS = 20_000;

/** A backoff that waits for nobody's clock. */
export const FAST: BackoffOptions = { firstMs: 1, longestMs: 2, attempts: 3 };

const started: { close: () => void }[] = [];
afterTests(() => {
  for (const { close } of started.splice(0).reverse()) close();
});

/** A fake that serves, and a client of it; both end with the file's tests. */
export async function pair(
  plan: Plan = {},
  options: ClientOptions = {},
): Promise<{ service: FakeService; client: OcrMuxClient }> {
  const service = await new FakeService(plan).start();
  const client = new OcrMuxClient(service.target, options);
  started.push({
    close: () => {
      client.close();
      service.stop();
    },
  });
  return { service, client };
}

/** Items `item-0` and so on. */
export function items(contents: readonly (string | Uint8Array | URL)[]): Item[] {
  return contents.map((content, index) => ({
    requestId: `item-${index}`,
    content: typeof content === "string" ? Buffer.from(content) : content,
  }));
}

export type Told = [id: string, page: number, text: string, last: boolean];

/** Id, page, text or reason, and whether it is the last. */
export function told(answer: PageAnswer): Told {
  const text = errorOf(answer)?.reason ?? pagesOf(answer)[0]?.text ?? "";
  return [answer.requestId, answer.page, text, answer.lastPage];
}

export async function allOf(answers: AsyncIterable<PageAnswer>): Promise<Told[]> {
  const all: Told[] = [];
  for await (const answer of answers) all.push(told(answer));
  return all;
}

/** Returns once it is so; fails after 20 s. */
export async function until(isSo: () => boolean, what: string): Promise<void> {
  const endMs = performance.now() + WAIT_MAX_MS;
  while (!isSo()) {
    assert.ok(performance.now() < endMs, `not within ${WAIT_MAX_MS} ms: ${what}`);
    await delay(2);
  }
}

/** Gives everything that is under way the time to happen: so many turns of the event loop. */
export async function turns(count = 200): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
