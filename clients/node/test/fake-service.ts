/** A preprocess service on loopback, as strict as the real one, that reads nothing: an item's content says what its answer is. */

import { createHash } from "node:crypto";
import {
  Metadata,
  Server,
  ServerCredentials,
  status as Code,
  type ServerDuplexStream,
  type ServerUnaryCall,
} from "@grpc/grpc-js";
import { Duration } from "../src/gen/google/protobuf/duration.js";
import { RetryInfo } from "../src/gen/google/rpc/error_details.js";
import { Status } from "../src/gen/google/rpc/status.js";
import { OcrGatewayServiceService, ListProvidersResponse } from "../src/gen/ocrmux/gateway/v1/gateway.js";
import { CacheOutcome, PageAnswer, type StreamLimits } from "../src/gen/ocrmux/ocr/v1/recognition.js";
import {
  PreprocessServiceService,
  type RecognizeRequest,
  type RecognizeResponse,
  type RecognizeStreamConfig,
  type SourceItem,
  StreamRecognizeRequest,
  type StreamRecognizeResponse,
} from "../src/gen/ocrmux/preprocess/v1/preprocess.js";
import { itemStatus } from "../src/errors.js";

export type ServerCall = ServerDuplexStream<StreamRecognizeRequest, StreamRecognizeResponse>;

/** How the fake behaves; what is left out is well-behaved. */
export interface Plan {
  limits?: Partial<StreamLimits>;
  /** Of each stream in turn: answers given until the end of it, and which end. */
  breaks?: { after: number; status?: Partial<Status>; quietly?: boolean }[];
  /** How often an item of this id is answered with this reason. */
  refusals?: Map<string, { times: number; status: Status }>;
  /** SHA-256, hexadecimal, of content that is known. */
  known?: Set<string>;
  /** Items are answered only after half-close, the last one first. */
  backwards?: boolean;
  /** Answers that go in one message. */
  together?: number;
  /** Whether an item's answers wait for `release`. */
  held?: (requestId: string) => boolean;
  /** Takes a stream over: gives true where it does all that is to be done. */
  script?: (call: ServerCall, stream: number) => boolean;
  /** Ends a unary call before it is answered. */
  refuseUnary?: (call: number) => Status | undefined;
}

interface Received {
  item: SourceItem;
  content: Buffer | undefined;
}

const LIMITS: StreamLimits = {
  maxItemsInFlight: 16,
  maxBytesInFlight: 64 << 20,
  maxItemBytes: 32 << 20,
  maxMessageBytes: 2 << 20,
};

export class FakeService {
  readonly plan: Plan;
  readonly configs: RecognizeStreamConfig[] = [];
  readonly items: SourceItem[] = [];
  readonly received: string[] = [];
  readonly chunked: string[] = [];
  readonly batches: number[] = [];
  readonly answerBatches: number[] = [];
  readonly metadata: Metadata[] = [];
  /** Breaches of protocol by the client; a test that ends with any has failed. */
  readonly breaches: string[] = [];
  streams = 0;
  cancelled = 0;
  unaryCalls = 0;
  /** Of the last unary call. */
  deadline: Date | number = Infinity;
  mostInFlight = 0;
  largestMessageBytes = 0;
  target = "";
  readonly #server: Server;
  readonly #open = new Set<ServerCall>();
  readonly #holders: (() => void)[] = [];
  #released = false;

  constructor(plan: Plan = {}, maxMessageBytes = 64 << 20) {
    this.plan = plan;
    this.#server = new Server({ "grpc.max_receive_message_length": maxMessageBytes });
    this.#server.addService(PreprocessServiceService, {
      recognize: (
        call: ServerUnaryCall<RecognizeRequest, RecognizeResponse>,
        answer: UnaryAnswer<RecognizeResponse>,
      ) => {
        this.#recognize(call, answer);
      },
      streamRecognize: (call: ServerCall) => {
        this.streams += 1;
        this.metadata.push(call.metadata);
        call.on("cancelled", () => (this.cancelled += 1));
        this.#open.add(call);
        call.on("error", () => this.#open.delete(call));
        call.on("close", () => this.#open.delete(call));
        if (!this.plan.script?.(call, this.streams)) new FakeStream(this, call, this.plan.breaks?.shift()).begin();
      },
    });
    this.#server.addService(OcrGatewayServiceService, {
      listProviders: (_: unknown, answer: UnaryAnswer<ListProvidersResponse>) => {
        answer(null, ListProvidersResponse.fromPartial({ providers: [{ name: "fake" }] }));
      },
    });
  }

  get limits(): StreamLimits {
    return { ...LIMITS, ...this.plan.limits };
  }

  /** Serves on the address, any free loopback port where none is said. */
  async start(address = "127.0.0.1:0", credentials = ServerCredentials.createInsecure()): Promise<this> {
    const port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(address, credentials, (error, bound) => {
        if (error) reject(error);
        else resolve(bound);
      });
    });
    this.target = `${address.slice(0, address.lastIndexOf(":"))}:${port}`;
    return this;
  }

  stop(): void {
    this.#server.forceShutdown();
  }

  /** Ends the streams that are open, as a server that stops. */
  dropStreams(): void {
    for (const call of this.#open) {
      call.emit("error", ending({ code: Code.UNAVAILABLE, message: "the server stops", details: [] }));
    }
  }

  /** Lets held answers go. */
  release(): void {
    this.#released = true;
    for (const go of this.#holders.splice(0)) go();
  }

  /** Calls back once the answers of the item may go. */
  whenFree(requestId: string, go: () => void): void {
    if (this.#released || !this.plan.held?.(requestId)) go();
    else this.#holders.push(go);
  }

  /** The answers of the item, its content known. */
  answersOf({ item, content }: Received): PageAnswer[] {
    const refusal = this.plan.refusals?.get(item.requestId);
    if (refusal !== undefined && refusal.times > 0) {
      refusal.times -= 1;
      return [failed(item.requestId, refusal.status)];
    }
    if (content !== undefined) return pagesFor(item.requestId, content);
    const digest = item.image?.source?.$case === "digest" ? item.image.source.value.value.toString("hex") : "";
    if (this.plan.known?.has(digest)) return pagesFor(item.requestId, Buffer.from("known"));
    return [failed(item.requestId, itemStatus(Code.NOT_FOUND, "CONTENT_REQUIRED", "send the content"))];
  }

  #recognize(call: ServerUnaryCall<RecognizeRequest, RecognizeResponse>, answer: UnaryAnswer<RecognizeResponse>): void {
    this.unaryCalls += 1;
    this.deadline = call.getDeadline();
    this.metadata.push(call.metadata);
    const { item } = call.request;
    const refused = this.plan.refuseUnary?.(this.unaryCalls);
    if (refused !== undefined) {
      answer(ending(refused), null);
      return;
    }
    if (item?.image?.source?.$case !== "content") {
      answer(ending(itemStatus(Code.INVALID_ARGUMENT, "PAYLOAD_MISSING", "no content")), null);
      return;
    }
    const answers = pagesFor("", item.image.source.value);
    const outcome = answers[0]?.outcome;
    if (outcome?.$case === "error" && answers.length === 1) answer(ending(outcome.value), null);
    else answer(null, { answers });
  }
}

/** One stream of the fake: keeps the rules, and ends with INVALID_ARGUMENT on any breach of them. */
class FakeStream {
  readonly #service: FakeService;
  readonly #call: ServerCall;
  readonly #ending: NonNullable<Plan["breaks"]>[number] | undefined;
  readonly #inFlight = new Set<string>();
  readonly #backwards: Received[] = [];
  #configured = false;
  #halfClosed = false;
  #ended = false;
  #given = 0;
  #announced: { item: SourceItem; pieces: Buffer[]; left: number } | undefined;
  #gathered: PageAnswer[] = [];

  constructor(service: FakeService, call: ServerCall, ending: NonNullable<Plan["breaks"]>[number] | undefined) {
    this.#service = service;
    this.#call = call;
    this.#ending = ending;
  }

  begin(): void {
    this.#call.on("data", (request: StreamRecognizeRequest) => {
      if (!this.#ended) this.#request(request);
    });
    this.#call.on("drain", () => {
      this.#call.resume();
    });
    this.#call.on("end", () => {
      this.#halfClosed = true;
      if (this.#announced !== undefined) this.#breach("CHUNKS_MISMATCHED");
      for (const received of this.#backwards.splice(0).reverse()) this.#answer(received);
      this.#perhapsEnd();
    });
  }

  #request(request: StreamRecognizeRequest): void {
    const bytes = StreamRecognizeRequest.encode(request).finish().length;
    this.#service.largestMessageBytes = Math.max(this.#service.largestMessageBytes, bytes);
    const { message } = request;
    if ((message?.$case === "config") === this.#configured) this.#breach("CONFIG_MISSING or CONFIG_REPEATED");
    else if (message === undefined) this.#breach("MESSAGE_UNEXPECTED");
    else if (message.$case === "config") {
      this.#configured = true;
      this.#service.configs.push(message.value);
      this.#send({ message: { $case: "limits", value: this.#service.limits } });
      this.#breakIfDue();
    } else if (bytes > this.#service.limits.maxMessageBytes) this.#breach(`a message of ${bytes} bytes`);
    else if (message.$case === "item") this.#item(message.value);
    else if (message.$case === "chunk") this.#chunk(message.value.requestId, message.value.data);
    else {
      this.#service.batches.push(message.value.items.length);
      for (const item of message.value.items) this.#item(item);
    }
  }

  #item(item: SourceItem): void {
    const { limits } = this.#service;
    if (this.#announced !== undefined) this.#breach("CHUNKS_MISMATCHED: an item between chunks");
    if (item.requestId === "" || Array.from(item.requestId).length > 128) this.#breach("REQUEST_ID_INVALID");
    if (this.#inFlight.has(item.requestId)) this.#breach(`DUPLICATE_REQUEST_ID ${item.requestId}`);
    this.#inFlight.add(item.requestId);
    this.#service.items.push(item);
    this.#service.mostInFlight = Math.max(this.#service.mostInFlight, this.#inFlight.size);
    if (this.#inFlight.size > limits.maxItemsInFlight) this.#breach("more items than the window");
    const source = item.image?.source;
    if (source === undefined) this.#breach("PAYLOAD_MISSING");
    else if (source.$case === "chunked") {
      this.#service.chunked.push(item.requestId);
      this.#announced = { item, pieces: [], left: source.value.totalBytes };
    } else {
      this.#accept({ item, content: source.$case === "content" ? source.value : undefined });
    }
  }

  #chunk(requestId: string, data: Buffer): void {
    const announced = this.#announced;
    if (announced?.item.requestId !== requestId || data.length > announced.left || data.length === 0) {
      this.#breach(`CHUNKS_MISMATCHED ${requestId}`);
      return;
    }
    announced.pieces.push(data);
    announced.left -= data.length;
    if (announced.left > 0) return;
    this.#announced = undefined;
    this.#accept({ item: announced.item, content: Buffer.concat(announced.pieces) });
  }

  #accept(received: Received): void {
    this.#service.received.push(received.item.requestId);
    if (this.#service.plan.backwards) this.#backwards.push(received);
    else {
      this.#service.whenFree(received.item.requestId, () => {
        this.#answer(received);
      });
    }
  }

  #answer(received: Received): void {
    for (const answer of this.#service.answersOf(received)) {
      if (this.#ended) return;
      if (answer.lastPage) this.#inFlight.delete(answer.requestId);
      this.#gathered.push(answer);
      const wanted = this.#service.configs.at(-1)?.batchedAnswers ? (this.#service.plan.together ?? 1) : 1;
      if (this.#gathered.length >= wanted) this.#flush();
      this.#given += 1;
      this.#breakIfDue();
    }
    this.#perhapsEnd();
  }

  #breakIfDue(): void {
    if (this.#ending === undefined || this.#given < this.#ending.after) return;
    this.#flush();
    if (this.#ending.quietly) this.#finish();
    else this.#finish({ ...itemStatus(Code.UNAVAILABLE, "DRAINING", "the server stops"), ...this.#ending.status });
  }

  #perhapsEnd(): void {
    if (this.#ended || !this.#halfClosed) return;
    if (this.#inFlight.size === 0) {
      this.#flush();
      this.#finish();
    }
  }

  #flush(): void {
    const answers = this.#gathered.splice(0);
    const [first] = answers;
    if (first === undefined) return;
    this.#service.answerBatches.push(answers.length);
    if (answers.length === 1) this.#send({ message: { $case: "answer", value: first } });
    else this.#send({ message: { $case: "batch", value: { answers } } });
  }

  #send(response: StreamRecognizeResponse): void {
    if (!this.#call.write(response)) this.#call.pause(); // a slow reader stops the work done for it
  }

  #finish(status?: Status): void {
    this.#ended = true;
    this.#call.resume();
    if (status === undefined) this.#call.end();
    else this.#call.emit("error", ending(status));
  }

  #breach(what: string): void {
    this.#service.breaches.push(what);
    if (!this.#ended) this.#finish(itemStatus(Code.INVALID_ARGUMENT, "MESSAGE_UNEXPECTED", what));
  }
}

type UnaryAnswer<Response> = (error: ReturnType<typeof ending> | null, response: Response | null) => void;

/** A status as a server ends a call with it. */
export function ending(status: Status): { code: number; details: string; metadata: Metadata } {
  const metadata = new Metadata();
  if (status.details.length > 0) {
    metadata.set("grpc-status-details-bin", Buffer.from(Status.encode(status).finish()));
  }
  return { code: status.code, details: status.message, metadata };
}

/** The status with a RetryInfo. */
export function retryAfter(status: Status, ms: number): Status {
  const retryDelay = Duration.create({ seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1e6 });
  const value = Buffer.from(RetryInfo.encode({ retryDelay }).finish());
  return { ...status, details: [...status.details, { typeUrl: "type.googleapis.com/google.rpc.RetryInfo", value }] };
}

/**
 * `pages=N` gives N pages, of which `bad=N` has an error at the last, `error=REASON` a refusal, else one page with the content's digest
 * as its text. What is said ends with the content, or a zero byte.
 */
export function pagesFor(requestId: string, content: Buffer): PageAnswer[] {
  const [said = ""] = content.subarray(0, 64).toString("latin1").split("\0", 1);
  if (said.startsWith("error=")) {
    return [failed(requestId, itemStatus(Code.INVALID_ARGUMENT, said.slice(6), "as the test wants it"))];
  }
  if (said.startsWith("bad=")) {
    const count = Number(said.slice(4));
    const bad = failed(requestId, itemStatus(Code.INVALID_ARGUMENT, "IMAGE_UNDECODABLE", "as the test wants it"));
    return [
      ...pagesFor(requestId, Buffer.from(`pages=${count}`)).slice(0, -1),
      { ...bad, page: count, pageCount: count },
    ];
  }
  const count = said.startsWith("pages=") ? Number(said.slice(6)) : 1;
  return Array.from({ length: count }, (_, index) => page(requestId, index + 1, count, textOf(content)));
}

/** An answer of one page. */
export function page(requestId: string, number: number, count: number, text: string): PageAnswer {
  return PageAnswer.fromPartial({
    requestId,
    page: number,
    pageCount: count,
    lastPage: number === count,
    outcome: { $case: "document", value: { pages: [{ number, text }] } },
    provenance: { provider: "fake", cache: CacheOutcome.MISS, attempts: 1 },
  });
}

/** An error of an item as a whole. */
export function failed(requestId: string, status: Status): PageAnswer {
  return PageAnswer.fromPartial({ requestId, lastPage: true, outcome: { $case: "error", value: status } });
}

/** What the fake reads of content. */
export function textOf(content: Uint8Array | string): string {
  return createHash("sha256").update(content).digest("hex").slice(0, 16);
}
