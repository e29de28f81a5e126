/** One long run of many items over a stream that may break and be opened again. */

import type { ClientDuplexStream } from "@grpc/grpc-js";
import { AnswerOrder } from "./answer-order.js";
import { AnswerQueue } from "./answer-queue.js";
import type { AnswerStream } from "./answer-stream.js";
import { broken, isAbort, isPassing, isSentElsewhere, leftUnanswered, silent, tookTooLong } from "./endings.js";
import { Code, CONNECTION_LOST, errorOf, itemStatus, OcrMuxError, PROTOCOL_BROKEN } from "./errors.js";
import type { Status } from "./gen/google/rpc/status.js";
import { PageAnswer, type StreamLimits } from "./gen/ocrmux/ocr/v1/recognition.js";
import type {
  RecognizeStreamConfig,
  SourceItem,
  StreamRecognizeRequest,
  StreamRecognizeResponse,
} from "./gen/ocrmux/preprocess/v1/preprocess.js";
import { byDigest, contentRequests, ItemRefused, load, sizeBytes, together } from "./item-messages.js";
import { contentOf } from "./item-responses.js";
import { ItemWindow, type Entry } from "./item-window.js";
import { Silence } from "./silence.js";
import { StreamSource, type Items } from "./stream-source.js";
import { StreamCall } from "./stream-call.js";
import type { SettledPolicy } from "./stream-policy.js";
import { after, Notice, onAbort, unlessAborted } from "./waiting.js";

type Call = StreamCall<StreamRecognizeRequest, StreamRecognizeResponse>;

const DIGESTS_TOGETHER_MAX = 32;
const HASHED_TOGETHER_MAX_BYTES = 32 << 20; // a message of digests waits no longer than this takes to hash

/** What a stream is made of. */
export interface StreamParts {
  /** Makes the call of a new connection. Throws OcrMuxError where there can be none. */
  open: () => ClientDuplexStream<StreamRecognizeRequest, StreamRecognizeResponse>;
  config: RecognizeStreamConfig;
  items: Items;
  policy: SettledPolicy;
  /** Ends the stream with its reason. */
  signals: readonly (AbortSignal | undefined)[];
}

/**
 * Sends items, gives their answers, each page of each item exactly once; for one use. Items without an answer are sent
 * again, under the same ids, after a connection is lost or the server drains. `next` throws OcrMuxError when the server
 * refuses the stream as a whole or stays away longer than the backoff allows; what was given out until then stands.
 */
export class ItemStream implements AnswerStream {
  readonly #parts: StreamParts;
  readonly #policy: SettledPolicy;
  readonly #changed = new Notice();
  readonly #source: StreamSource;
  readonly #order: AnswerOrder<PageAnswer>;
  readonly #out: AnswerQueue<PageAnswer>;
  readonly #window: ItemWindow;
  readonly #stop = new AbortController();
  #driving: Promise<void> | undefined;
  // Of the connection:
  #limits: StreamLimits | undefined;
  #movingCause: OcrMuxError | undefined;
  #progress = false;
  readonly #silence: Silence;

  constructor(parts: StreamParts) {
    this.#parts = parts;
    this.#policy = parts.policy;
    const changed = (): void => {
      this.#changed.notify();
    };
    this.#source = new StreamSource(parts.items, changed);
    this.#out = new AnswerQueue(changed);
    this.#order = new AnswerOrder(parts.policy.ordered);
    this.#silence = new Silence(parts.policy.silenceMs);
    this.#window = new ItemWindow(parts.policy.concurrency);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<PageAnswer, undefined>> {
    this.#driving ??= this.#drive();
    const value = await this.#out.take();
    return value === undefined ? { done: true, value } : { done: false, value };
  }

  async return(): Promise<IteratorResult<PageAnswer, undefined>> {
    this.#driving ??= Promise.resolve();
    this.#stop.abort(new Error("the stream was left"));
    this.#out.clear();
    await this.#driving;
    return { done: true, value: undefined };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  async #drive(): Promise<void> {
    const stop = (reason: unknown): void => {
      this.#stop.abort(reason);
    };
    const unhook = [
      ...this.#parts.signals.map((signal) =>
        onAbort(signal, () => {
          stop(signal?.reason);
        }),
      ),
      after(this.#policy.timeoutMs, () => {
        stop(tookTooLong(this.#policy.timeoutMs));
      }),
      onAbort(this.#stop.signal, () => {
        this.#changed.notify();
      }),
    ];
    let end: { failure?: unknown } = {};
    try {
      await this.#run();
    } catch (failure) {
      end = { failure };
    }
    for (const off of unhook) off();
    try {
      await this.#source.close();
    } catch (failure) {
      if (!("failure" in end)) end = { failure };
    }
    this.#out.finish(end); // thrown by next(), after the answers that came before it
  }

  async #run(): Promise<void> {
    const { backoff, onReconnect } = this.#policy;
    let failures = 0;
    let vain = false;
    while (await this.#hasWork()) {
      if (vain) await backoff.sleep(backoff.waitMs(failures + 1), this.#stop.signal);
      const failure = await this.#connection();
      if (this.#progress) failures = 0;
      vain = failure === undefined && !this.#progress; // closed before there was anything for it to answer
      if (failure === undefined) continue;
      failures += 1;
      if (failures > backoff.attempts) throw failure;
      const waitMs = backoff.waitMs(failures, failure.retryAfterMs);
      onReconnect?.(failures, waitMs, failure);
      await backoff.sleep(waitMs, this.#stop.signal);
    }
  }

  async #hasWork(): Promise<boolean> {
    for (;;) {
      this.#stop.signal.throwIfAborted();
      if (this.#window.waiting.length > 0) return true;
      if (this.#source.exhausted) return false;
      this.#source.lookAhead();
      if (!this.#admit()) await this.#changed.wait();
    }
  }

  /** Takes what the source has ready, if anything: an item into the waiting line, or the end. */
  #admit(): boolean {
    if (!this.#source.ready) return false;
    const item = this.#source.take();
    if (item !== undefined) this.#window.admit(item, this.#order.start(), this.#policy.digestFirst);
    return true;
  }

  /** One stream from opening to end; gives what broke it. Throws what trying again would not mend. */
  async #connection(): Promise<OcrMuxError | undefined> {
    this.#limits = this.#movingCause = undefined;
    this.#progress = false;
    this.#silence.end();
    const call = new StreamCall<StreamRecognizeRequest, StreamRecognizeResponse>(this.#parts.open());
    const unhook = [
      onAbort(call.over, () => {
        this.#changed.notify();
      }),
      onAbort(this.#stop.signal, () => {
        call.leave();
      }),
    ];
    let mistake: { error: unknown } | undefined;
    const writing = this.#write(call).catch((error: unknown) => {
      if (!call.over.aborted || !isAbort(error, call.over)) mistake = { error };
      call.leave();
    });
    let failure: OcrMuxError | undefined;
    try {
      await this.#read(call);
    } catch (error) {
      if (!(error instanceof OcrMuxError)) throw error;
      failure = error;
    } finally {
      call.leave();
      await writing;
      for (const off of unhook) off();
    }
    this.#stop.signal.throwIfAborted();
    if (mistake !== undefined) throw mistake.error;
    return this.#settled(failure);
  }

  /** Puts unanswered items back into the waiting line, in order. */
  #settled(failure: OcrMuxError | undefined): OcrMuxError | undefined {
    if (failure !== undefined && !isPassing(failure)) throw failure;
    const { waiting, inFlight, moving } = this.#window;
    const unanswered = inFlight.size + (moving.length > 0 ? 0 : waiting.length);
    if (failure !== undefined && this.#limits !== undefined && unanswered + moving.length === 0) {
      failure = undefined; // an idle connection was closed; nothing is lost by it
    } else if (failure === undefined && unanswered > 0) {
      failure = leftUnanswered(unanswered);
    }
    for (const entry of this.#window.regather()) {
      entry.losses += 1;
      if (entry.losses < this.#policy.sendsPerItem) continue;
      const message = `the connection was lost ${entry.losses} times while this item was with the server: ${String(failure)}`;
      this.#answerHere(entry, itemStatus(Code.UNAVAILABLE, CONNECTION_LOST, message));
    }
    return failure ?? this.#movingCause;
  }

  async #read(call: Call): Promise<void> {
    for (;;) {
      const response = await call.read(() => this.#listen());
      if (response === undefined) return;
      this.#silence.end();
      const told = contentOf(response, this.#limits !== undefined);
      if ("limits" in told) this.#limits = told.limits;
      else for (const answer of told.answers) this.#take(answer);
      this.#changed.notify();
      await this.#untilTaken(call);
    }
  }

  get #backedUp(): boolean {
    return this.#out.length >= this.#policy.concurrency;
  }

  /** Holds the reading up while the caller is behind, so that the server feels it too. */
  async #untilTaken(call: Call): Promise<void> {
    while (this.#backedUp && !call.left) await this.#changed.wait();
  }

  /** Milliseconds after which to listen for a silence again. Throws OcrMuxError when the server was silent for too long. */
  #listen(): number {
    if (this.#limits !== undefined && !this.#window.awaitsAnswers) this.#silence.end();
    const ms = this.#silence.look();
    if (ms === undefined) throw silent(this.#policy.silenceMs);
    return ms;
  }

  #take(answer: PageAnswer): void {
    const entry = this.#window.inFlight.get(answer.requestId);
    if (entry === undefined) {
      throw broken(`the server answered ${JSON.stringify(answer.requestId)}, which waits for no answer`);
    }
    const error = answer.lastPage ? errorOf(answer) : undefined;
    if (error === undefined || !isSentElsewhere(error)) this.#progress = true;
    if (answer.lastPage) {
      this.#window.answered(entry);
      if (error !== undefined && this.#toBeSentAgain(entry, error)) return;
    }
    if (answer.page === 0 || answer.page > entry.pagesGiven) {
      entry.pagesGiven = Math.max(entry.pagesGiven, answer.page);
      this.#give(entry, answer);
    } else if (answer.lastPage) {
      const message = `the item ended at page ${answer.page}, after page ${entry.pagesGiven} had been answered before`;
      this.#answerHere(entry, itemStatus(Code.ABORTED, PROTOCOL_BROKEN, message));
    }
  }

  #toBeSentAgain(entry: Entry, error: OcrMuxError): boolean {
    if (error.reason === "CONTENT_REQUIRED" && entry.byDigest) {
      entry.byDigest = false;
      this.#window.again(entry);
      return true;
    }
    if (isSentElsewhere(error) && entry.moves < this.#policy.sendsPerItem) {
      entry.moves += 1;
      this.#window.moving.push(entry);
      this.#movingCause = error;
      return true;
    }
    return false;
  }

  async #write(call: Call): Promise<void> {
    await call.write({ message: { $case: "config", value: this.#parts.config } });
    while (this.#limits === undefined) {
      if (call.over.aborted) return;
      await this.#changed.wait();
    }
    const limits = this.#limits;
    for (;;) {
      const entry = await this.#nextEntry(call, limits);
      if (entry === undefined) break;
      if (entry.byDigest) await this.#sendDigests(call, entry, limits);
      else await this.#send(call, entry, limits);
    }
    call.halfClose();
  }

  /** The next item, once there is room for it; undefined when this stream has nothing more to send. */
  async #nextEntry(call: Call, limits: StreamLimits): Promise<Entry | undefined> {
    const { waiting } = this.#window;
    for (;;) {
      const seen = this.#changed.given;
      if (this.#isOver(call)) return undefined;
      this.#admit();
      await this.#measured(call, limits);
      if (this.#isOver(call)) return undefined;
      const entry = this.#backedUp ? undefined : this.#window.take(limits);
      if (entry !== undefined) return entry;
      if (waiting.length === 0 && this.#source.exhausted && !this.#window.mayAskForContent) return undefined;
      if (this.#mayDraw(limits)) this.#source.lookAhead();
      await this.#changed.wait(seen);
    }
  }

  /** Whether there is room for an item that is not drawn from the source yet. */
  #mayDraw(limits: StreamLimits): boolean {
    if (this.#backedUp || this.#order.lag >= this.#policy.reorderSpan) return false;
    return this.#window.waiting.length === 0 && this.#window.hasPlace(limits);
  }

  /** Whether nothing more is to be sent on this call. */
  #isOver(call: Call): boolean {
    return this.#movingCause !== undefined || call.over.aborted;
  }

  /** Whether an item waits, its size known; answers here those that cannot be sent at all. */
  async #measured(call: Call, limits: StreamLimits): Promise<boolean> {
    for (;;) {
      const [entry] = this.#window.waiting;
      if (entry === undefined) return false;
      if (entry.sizeBytes !== undefined) return true;
      const bytes = await this.#prepared(entry, call, () => sizeBytes(entry.item.content, limits));
      if (bytes !== undefined) entry.sizeBytes = bytes;
    }
  }

  /** Sends the digest of this item, and of those that are ready behind it, in one message. */
  async #sendDigests(call: Call, first: Entry, limits: StreamLimits): Promise<void> {
    const hashed: { entry: Entry; item: SourceItem }[] = [];
    let hashedBytes = 0;
    for (let entry: Entry | undefined = first; entry !== undefined;) {
      const { item, sizeBytes: bytes = 0 } = entry;
      if (this.#mayDraw(limits)) this.#source.lookAhead();
      const known = await this.#prepared(entry, call, () => byDigest(item, limits, call.over));
      if (known !== undefined) hashed.push({ entry, item: known });
      hashedBytes += bytes;
      const enough = hashed.length === DIGESTS_TOGETHER_MAX || hashedBytes > HASHED_TOGETHER_MAX_BYTES;
      if (enough || this.#isOver(call)) break;
      this.#admit();
      entry = undefined;
      if ((await this.#measured(call, limits)) && this.#window.waiting[0]?.byDigest === true && !this.#backedUp) {
        entry = this.#window.take(limits);
      }
    }
    for (const { entry } of hashed) this.#sent(entry);
    for (const request of together(hashed.map(({ item }) => item), limits)) await call.write(request); // prettier-ignore
  }

  async #send(call: Call, entry: Entry, limits: StreamLimits): Promise<void> {
    const content = await this.#prepared(entry, call, () => load(entry.item.content, limits, call.over));
    if (content === undefined) return;
    this.#sent(entry);
    for (const request of contentRequests(entry.item, content, limits)) {
      if (this.#window.inFlight.get(entry.item.requestId) !== entry) return; // answered by its announcement
      await call.write(request);
    }
  }

  #sent(entry: Entry): void {
    this.#silence.end();
    entry.isSent = true;
  }

  /** What `prepare` makes of the item; undefined if the item had to be answered here. Throws when the call is over. */
  async #prepared<T>(entry: Entry, call: Call, prepare: () => Promise<T>): Promise<T | undefined> {
    try {
      return await unlessAborted(prepare(), call.over);
    } catch (error) {
      if (!(error instanceof ItemRefused)) throw error;
      this.#answerHere(entry, error.status);
      return undefined;
    }
  }

  /** Gives an item an answer of the client's own, as a whole. */
  #answerHere(entry: Entry, error: Status): void {
    this.#give(entry, PageAnswer.create({ requestId: entry.item.requestId, lastPage: true, outcome: { $case: "error", value: error } })); // prettier-ignore
  }

  #give(entry: Entry, answer: PageAnswer): void {
    if (answer.lastPage) this.#window.finish(entry);
    this.#out.push(this.#order.take(entry.place, answer));
    this.#changed.notify();
  }
}
