/** The client. */

import { Client, type Metadata } from "@grpc/grpc-js";
import type { AnswerStream } from "./answer-stream.js";
import { Backoff, type BackoffOptions } from "./backoff.js";
import { callMetadata, channelCredentials, channelOptions, checkTarget, type ConnectionOptions } from "./connection.js";
import { Code, OcrMuxError } from "./errors.js";
import { OcrGatewayServiceService, type ListProvidersResponse } from "./gen/ocrmux/gateway/v1/gateway.js";
import { StreamLimits, type PageAnswer } from "./gen/ocrmux/ocr/v1/recognition.js";
import { PreprocessServiceService } from "./gen/ocrmux/preprocess/v1/preprocess.js";
import { ItemRefused, load } from "./item-messages.js";
import { decodedResponse } from "./item-responses.js";
import { ItemStream } from "./item-stream.js";
import { checkRegions, sourceItem, type Content, type Region } from "./items.js";
import { normalizationOf, recognitionOf, type ReadingConfig } from "./reading-config.js";
import { Reading } from "./reading.js";
import { encodedRequest } from "./request-encoding.js";
import { settled, type StreamPolicy } from "./stream-policy.js";
import type { Items } from "./stream-source.js";
import { noAnswerWithin, UnaryCalls } from "./unary-calls.js";

const UNARY_MAX_BYTES = 3 << 20;
const RECOGNIZE_TIMEOUT_MS = 300_000;
const LIST_TIMEOUT_MS = 30_000;
const NO_LIMITS = StreamLimits.create();
const UNARY_ATTEMPTS = 4;

/** How a client reaches its servers. */
export interface ClientOptions extends ConnectionOptions {
  /** Address of a gateway, for `listProviders`; the client's target where left out. */
  gatewayTarget?: string;
  /** Of `recognize` and `listProviders`; four failures are borne where it does not say. A stream's own is in its policy. */
  backoff?: BackoffOptions;
}

/** Of one call. */
export interface CallOptions {
  /** Milliseconds for all of it, tries and waits together. */
  timeoutMs?: number;
  /** Ends the call; it rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** Of `recognize`. */
export interface RecognizeOptions extends CallOptions {
  /** Rectangles to which recognition is confined. None: the whole image. */
  regions?: readonly Region[];
  /** Opens an encrypted document. */
  password?: string;
}

/** Of `streamRecognize`. */
export interface StreamOptions {
  config?: ReadingConfig;
  policy?: StreamPolicy;
  /** Ends the stream; `next` rejects with the signal's reason, after the answers that were there before. */
  signal?: AbortSignal;
}

/** Reads images and documents through an ocrmux server. Failures are OcrMuxError, misuse is UsageError. */
export class OcrMuxClient {
  readonly #client: Client;
  readonly #gateway: Client;
  readonly #metadata: Metadata;
  readonly #calls: UnaryCalls;
  readonly #gatewayCalls: UnaryCalls;
  readonly #backoff: BackoffOptions;
  readonly #closed = new AbortController();

  /**
   * `target` is `host:port` of a preprocess service, or any name that gRPC resolves, as `dns:///ocr:50051`; calls go round
   * robin over all its addresses. Connects to nothing. Throws UsageError, and what reading a PEM file throws.
   */
  constructor(target: string, options: ClientOptions = {}) {
    const gatewayTarget = options.gatewayTarget ?? target;
    for (const address of [target, gatewayTarget]) checkTarget(address);
    const credentials = channelCredentials(options, [target, gatewayTarget]);
    this.#metadata = callMetadata(options);
    this.#backoff = { attempts: UNARY_ATTEMPTS, ...options.backoff };
    this.#client = new Client(target, credentials, channelOptions(target));
    this.#gateway =
      gatewayTarget === target ? this.#client : new Client(gatewayTarget, credentials, channelOptions(gatewayTarget));
    const backoff = new Backoff(this.#backoff);
    this.#calls = new UnaryCalls(this.#client, this.#metadata, backoff);
    this.#gatewayCalls = new UnaryCalls(this.#gateway, this.#metadata, backoff);
  }

  /** Closes the connections; calls and streams still running end with CANCELLED. */
  close(): void {
    this.#closed.abort(new OcrMuxError(Code.CANCELLED, "", "the client was closed"));
    this.#client.close();
    this.#gateway.close();
  }

  /** As `close`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * Reads one image or document, within 300 s where `timeoutMs` does not say otherwise. Content above 3 MiB, or above the
   * server's limit on messages, goes in chunks over a stream. What is a lost connection to a stream is tried again with the backoff.
   *
   * Throws OcrMuxError for an item that cannot be read as a whole, or whose only page cannot; an error of one page of
   * several stands in the Reading.
   */
  async recognize(content: Content, config: ReadingConfig = {}, options: RecognizeOptions = {}): Promise<Reading> {
    const { regions = [], password = "", timeoutMs = RECOGNIZE_TIMEOUT_MS, signal } = options;
    checkRegions(regions);
    const endMs = performance.now() + timeoutMs;
    const item = { requestId: "", regions, password };
    const request = { recognition: recognitionOf(config), normalization: normalizationOf(config) };
    const data = await loaded(content, signal);
    const inChunks = async (): Promise<Reading> => {
      const restMs = Math.max(1, endMs - performance.now());
      return this.#recognizeInChunks(data, config, { regions, password, timeoutMs: restMs, signal }, timeoutMs);
    };
    if (data.length > UNARY_MAX_BYTES) return inChunks();
    try {
      const response = await this.#calls.call(
        PreprocessServiceService.recognize,
        { ...request, item: sourceItem(item, { $case: "content", value: data }) },
        { timeoutMs, signals: [signal, this.#closed.signal] },
      );
      return whole(response.answers);
    } catch (error) {
      if (!isMessageLimit(error)) throw error;
      return inChunks();
    }
  }

  /**
   * Reads many items over one stream; gives one answer a page, each exactly once, the item's last one marked.
   *
   * Every item is answered: a document, or an error (see `errorOf`), also for a path that cannot be read. At most
   * `policy.concurrency` items are on their way, and no more are drawn from `items`. Items without an answer are sent
   * again after a lost connection. Throws UsageError for a faulty config or policy; the iterator throws OcrMuxError when
   * the server refuses the stream as a whole or stays away for longer than the backoff bears, UsageError when two items
   * on their way have one id, and what `items` throws.
   */
  streamRecognize(items: Items, options: StreamOptions = {}): AnswerStream {
    const { config = {}, policy = {}, signal } = options;
    const method = PreprocessServiceService.streamRecognize;
    return new ItemStream({
      open: () => this.#client.makeBidiStreamRequest(method.path, encodedRequest, decodedResponse, this.#metadata),
      config: {
        recognition: recognitionOf(config),
        normalization: normalizationOf(config),
        ordered: false, // the client puts answers in order by itself, so that order outlives a reconnect
        batchedAnswers: true,
      },
      items,
      policy: settled(policy),
      signals: [signal, this.#closed.signal],
    });
  }

  /** Every provider that the gateway knows, with its limits and its state now; within 30 s. Throws OcrMuxError. */
  async listProviders(options: CallOptions = {}): Promise<ListProvidersResponse> {
    const limits = { timeoutMs: options.timeoutMs ?? LIST_TIMEOUT_MS, signals: [options.signal, this.#closed.signal] };
    return this.#gatewayCalls.call(OcrGatewayServiceService.listProviders, {}, limits);
  }

  async #recognizeInChunks(
    content: Buffer,
    config: ReadingConfig,
    options: Required<Omit<RecognizeOptions, "signal">> & { signal: AbortSignal | undefined },
    saidMs: number,
  ): Promise<Reading> {
    const { regions, password, timeoutMs, signal } = options;
    const item = { requestId: "whole", content, regions, password };
    // Its failures are counted by the backoff alone, as the unary call's.
    const policy = { concurrency: 1, sendsPerItem: Number.MAX_SAFE_INTEGER, backoff: this.#backoff, timeoutMs };
    const answers: PageAnswer[] = [];
    try {
      for await (const answer of this.streamRecognize([item], { config, policy, ...(signal && { signal }) })) {
        answers.push(answer);
      }
    } catch (error) {
      const late = error instanceof OcrMuxError && error.code === Code.DEADLINE_EXCEEDED && error.details === undefined;
      throw late ? noAnswerWithin(saidMs, error) : error;
    }
    return whole(answers);
  }
}

/** The Reading of one item. Throws the error of the item as a whole, or of its only page. */
function whole(answers: readonly PageAnswer[]): Reading {
  const reading = new Reading(answers);
  for (const { page, error } of reading.errors) if (page === 0 || answers.length === 1) throw error;
  return reading;
}

/** Whether gRPC itself refused a message for its size, before any service saw it. */
function isMessageLimit(error: unknown): boolean {
  return (
    error instanceof OcrMuxError &&
    error.code === Code.RESOURCE_EXHAUSTED &&
    error.reason === "" &&
    error.message.includes("larger than max")
  );
}

async function loaded(content: Content, signal: AbortSignal | undefined): Promise<Buffer> {
  try {
    return await load(content, NO_LIMITS, signal);
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw error instanceof ItemRefused ? OcrMuxError.fromStatus(error.status) : error;
  }
}
