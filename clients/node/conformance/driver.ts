/** The conformance driver of the Node client: what tests/conformance/README.md says, for one FILE. */

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import {
  CacheOutcome,
  errorOf,
  OcrMuxClient,
  OcrMuxError,
  pagesOf,
  UsageError,
  type BackoffOptions,
  type Item,
  type PageAnswer,
  type ReadingConfig,
  type StreamPolicy,
} from "@ocrmux/client";

interface Told {
  target: string;
  gateway_target?: string;
  tls?: { ca_file?: string; cert_file?: string; key_file?: string };
  token?: string;
  tenant?: string;
  call: "stream" | "recognize" | "list_providers";
  config?: Record<string, unknown>;
  policy?: Record<string, unknown> & { backoff?: Record<string, number> };
  items?: { id: string; path: string; in_memory?: boolean; regions?: number[][]; password?: string }[];
  generated?: { count: number; bytes: number; base: string };
  hold_after?: number;
  cancel_after?: number;
}

interface End {
  code: string;
  reason: string;
  message: string;
  retry_after_s: number | null;
}

const ENDED_WELL: End = { code: "OK", reason: "", message: "", retry_after_s: null };
const HEAP_LOOKED_AT_EVERY_MS = 20;

let drawn = 0;
let heapPeakBytes = 0;

function tell(event: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

/** What is there of these, absent ones and nulls left out, under the client's names. */
function renamed(from: Record<string, unknown>, names: Record<string, string>): object {
  const present = Object.entries(names).filter(([name]) => from[name] !== undefined && from[name] !== null);
  return Object.fromEntries(present.map(([name, to]) => [to, from[name]]));
}

function milliseconds(from: Record<string, unknown>, names: Record<string, string>): object {
  const present = Object.entries(names).filter(([name]) => typeof from[name] === "number");
  return Object.fromEntries(present.map(([name, to]) => [to, (from[name] as number) * 1000]));
}

function readingConfig(told: Told): ReadingConfig {
  const from = told.config ?? {};
  return {
    ...renamed(from, {
      features: "features",
      provider: "provider",
      route: "route",
      languages: "languages",
      cache: "cache",
      priority: "priority",
      provider_options: "providerOptions",
      profile: "profile",
      overrides: "overrides",
      id_document: "idDocument",
    }),
    ...milliseconds(from, { item_timeout_s: "itemTimeoutMs" }),
  };
}

function backoffOptions(told: Told): BackoffOptions {
  const from = told.policy?.backoff ?? {};
  return {
    ...renamed(from, { factor: "factor", attempts: "attempts" }),
    ...milliseconds(from, { first_s: "firstMs", longest_s: "longestMs" }),
  };
}

function streamPolicy(told: Told): StreamPolicy {
  const from = told.policy ?? {};
  return {
    ...renamed(from, {
      concurrency: "concurrency",
      ordered: "ordered",
      digest_first: "digestFirst",
      sends_per_item: "sendsPerItem",
    }),
    ...milliseconds(from, { silence_s: "silenceMs", timeout_s: "timeoutMs" }),
    backoff: backoffOptions(told),
    onReconnect: (failures, waitMs, cause) => {
      tell({ event: "reconnect", failures, wait_s: waitMs / 1000, code: cause.codeName, reason: cause.reason });
    },
  };
}

function client(told: Told): OcrMuxClient {
  const { tls } = told;
  return new OcrMuxClient(told.target, {
    ...(told.gateway_target && { gatewayTarget: told.gateway_target }),
    ...(tls && { tls: renamed(tls, { ca_file: "ca", cert_file: "cert", key_file: "key" }) }),
    ...(told.token !== undefined && { token: told.token }),
    ...(told.tenant !== undefined && { tenant: told.tenant }),
    backoff: backoffOptions(told),
  });
}

async function itemOf(told: NonNullable<Told["items"]>[number]): Promise<Item> {
  return {
    requestId: told.id,
    content: told.in_memory ? await readFile(told.path) : told.path,
    regions: (told.regions ?? []).map(([x = 0, y = 0, width = 0, height = 0]) => ({ x, y, width, height })),
    password: told.password ?? "",
  };
}

async function* listed(items: NonNullable<Told["items"]>): AsyncGenerator<Item, void> {
  for (const item of items) yield await itemOf(item);
}

function* generated({ count, bytes, base }: NonNullable<Told["generated"]>): Generator<Item, void> {
  const start = readFileSync(base);
  for (let index = 0; index < count; index += 1) {
    const content = Buffer.alloc(Math.max(bytes, start.length + 8));
    start.copy(content);
    content.writeBigUInt64BE(BigInt(index), content.length - 8);
    yield { requestId: `g${index}`, content };
  }
}

/** Counts what is drawn, and tells so at 1, 2, 4, 8 … */
async function* counted(items: Iterable<Item> | AsyncIterable<Item>, aloud: boolean): AsyncGenerator<Item, void> {
  for await (const item of items) {
    drawn += 1;
    if (aloud && (drawn & (drawn - 1)) === 0) tell({ event: "drawn", count: drawn });
    yield item;
  }
}

function tellAnswer(answer: PageAnswer): void {
  const error = errorOf(answer);
  const pages = pagesOf(answer);
  const fields = pages.flatMap((page) => page.fields).map((field) => [field.name, field.normalizedValue]);
  const cache = answer.provenance?.cache ?? CacheOutcome.UNSPECIFIED;
  tell({
    event: "answer",
    id: answer.requestId,
    page: answer.page,
    last_page: answer.lastPage,
    page_count: answer.pageCount,
    code: error?.codeName ?? "OK",
    reason: error?.reason ?? "",
    text: pages.map((page) => page.text).join("\f"),
    fields: Object.fromEntries(fields) as unknown,
    provider: answer.provenance?.provider ?? "",
    cache: cache === CacheOutcome.UNSPECIFIED ? "" : CacheOutcome[cache],
    attempts: answer.provenance?.attempts ?? 0,
    retry_after_s: seconds(error?.retryAfterMs),
    metadata: error?.metadata ?? {},
  });
}

async function hold(): Promise<void> {
  tell({ event: "drawn", count: drawn });
  tell({ event: "holding" });
  const lines = createInterface({ input: process.stdin });
  await once(lines, "line");
  lines.close();
  process.stdin.destroy();
}

async function stream(told: Told, ocr: OcrMuxClient): Promise<End> {
  const aloud = told.generated !== undefined || told.hold_after !== undefined;
  const items = counted(told.generated ? generated(told.generated) : listed(told.items ?? []), aloud);
  let taken = 0;
  for await (const answer of ocr.streamRecognize(items, { config: readingConfig(told), policy: streamPolicy(told) })) {
    tellAnswer(answer);
    taken += 1;
    if (taken === told.cancel_after) return { ...ENDED_WELL, code: "CANCELLED", message: "left early" };
    if (taken === told.hold_after) await hold();
  }
  return ENDED_WELL;
}

async function recognize(told: Told, ocr: OcrMuxClient): Promise<End> {
  const [first] = told.items ?? [];
  if (first === undefined) throw new TypeError("recognize needs an item");
  const { content, regions = [], password = "" } = await itemOf(first);
  const limits = milliseconds(told.policy ?? {}, { timeout_s: "timeoutMs" });
  const reading = await ocr.recognize(content, readingConfig(told), { regions, password, ...limits });
  for (const answer of reading.answers) tellAnswer({ ...answer, requestId: first.id });
  return ENDED_WELL;
}

async function listProviders(ocr: OcrMuxClient): Promise<End> {
  const { providers } = await ocr.listProviders();
  tell({ event: "providers", names: providers.map((provider) => provider.name) });
  return ENDED_WELL;
}

async function call(told: Told): Promise<End> {
  const ocr = client(told);
  try {
    if (told.call === "stream") return await stream(told, ocr);
    if (told.call === "recognize") return await recognize(told, ocr);
    return await listProviders(ocr);
  } finally {
    ocr.close();
  }
}

function endOf(failure: unknown): End {
  if (failure instanceof OcrMuxError) {
    const { codeName: code, reason, message } = failure;
    return { code, reason, message, retry_after_s: seconds(failure.retryAfterMs) };
  }
  if (failure instanceof UsageError) {
    return { code: "INVALID_ARGUMENT", reason: "USAGE", message: failure.message, retry_after_s: null };
  }
  throw failure;
}

function seconds(ms: number | undefined): number | null {
  return ms === undefined ? null : ms / 1000;
}

function lookAtHeap(): void {
  const { heapUsed, external } = process.memoryUsage();
  heapPeakBytes = Math.max(heapPeakBytes, heapUsed + external);
}

async function main(): Promise<void> {
  const [file] = process.argv.slice(2);
  if (file === undefined) throw new TypeError("usage: driver FILE");
  const told = JSON.parse(await readFile(file, "utf8")) as Told;
  const looking = setInterval(lookAtHeap, HEAP_LOOKED_AT_EVERY_MS);
  const end = await call(told).catch(endOf);
  clearInterval(looking);
  lookAtHeap();
  tell({ event: "end", ...end, drawn, heap_peak_bytes: heapPeakBytes });
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 2;
});
