/** Client of ocrmux, an OCR multiplexer: reads images and documents, one or many, over gRPC. */

export type { AnswerStream } from "./answer-stream.js";
export { Backoff, type BackoffOptions } from "./backoff.js";
export {
  OcrMuxClient,
  type CallOptions,
  type ClientOptions,
  type RecognizeOptions,
  type StreamOptions,
} from "./client.js";
export type { ConnectionOptions, Pem, TlsOptions } from "./connection.js";
export {
  Code,
  CONNECTION_LOST,
  errorOf,
  OcrMuxError,
  PROTOCOL_BROKEN,
  SOURCE_UNREADABLE,
  UsageError,
  type ErrorFacts,
} from "./errors.js";
export type { Status } from "./gen/google/rpc/status.js";
export type { ListProvidersResponse } from "./gen/ocrmux/gateway/v1/gateway.js";
export type { Block, Document, Field, Line, Page, Table, Word } from "./gen/ocrmux/ocr/v1/document.js";
export { CacheOutcome, type PageAnswer, type Provenance } from "./gen/ocrmux/ocr/v1/recognition.js";
export type { Content, Item, Region } from "./items.js";
export type { CacheUse, Feature, IdDocument, Priority, ReadingConfig } from "./reading-config.js";
export { pagesOf, Reading } from "./reading.js";
export type { StreamPolicy } from "./stream-policy.js";
export type { Items } from "./stream-source.js";
export type { Sleep } from "./waiting.js";
