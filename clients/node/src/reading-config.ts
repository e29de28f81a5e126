/** How items are to be read. */

import { UsageError } from "./errors.js";
import type { Duration } from "./gen/google/protobuf/duration.js";
import {
  CachePolicy,
  Feature as ProtoFeature,
  IdDocument as ProtoIdDocument,
  Priority as ProtoPriority,
  type RecognitionConfig,
} from "./gen/ocrmux/ocr/v1/recognition.js";
import type { NormalizationConfig } from "./gen/ocrmux/preprocess/v1/preprocess.js";

/** What to read: lines and words; cells; named fields of identity documents. */
export type Feature = "TEXT" | "TABLE" | "ID_DOCUMENT";
/** How the cache is used: look and keep; ask anew and keep; neither look nor keep. */
export type CacheUse = "USE" | "REFRESH" | "BYPASS";
/** Who goes first when items wait for one provider. */
export type Priority = "LOW" | "NORMAL" | "HIGH";
/** Which identity document a page shows. */
export type IdDocument = "IDENTITY_CARD" | "BUSINESS_LICENCE" | "BANK_CARD" | "PASSPORT";

/** How items are to be read, one or many. What is left out is the server's to choose. */
export interface ReadingConfig {
  /** Text, where none is said. */
  features?: readonly Feature[];
  /** One provider, by its name in `listProviders`. Not together with `route`. */
  provider?: string;
  /** A route of the server's configuration. */
  route?: string;
  /** Languages to expect, BCP 47. */
  languages?: readonly string[];
  cache?: CacheUse;
  priority?: Priority;
  /** Milliseconds that the server has for one item, for a document for each of its pages. Above 0. */
  itemTimeoutMs?: number;
  /** Options of the provider by its own names. */
  providerOptions?: Readonly<Record<string, string>>;
  /** Whether the provider's own answer is wanted besides the document. */
  includeRawResponse?: boolean;
  /** Profile of the normalisation of pages: `auto`, `document`, `photo`, `receipt`, `classic`, `none`. */
  profile?: string;
  /** Values of the profile's steps by `step.parameter`. */
  overrides?: Readonly<Record<string, string>>;
  /** Which document to look for; with the feature `ID_DOCUMENT` only. Left out, the provider finds out where it can. */
  idDocument?: IdDocument;
}

const FEATURES: Record<Feature, ProtoFeature> = {
  TEXT: ProtoFeature.TEXT,
  TABLE: ProtoFeature.TABLE,
  ID_DOCUMENT: ProtoFeature.ID_DOCUMENT,
};
const CACHE: Record<CacheUse, CachePolicy> = {
  USE: CachePolicy.USE,
  REFRESH: CachePolicy.REFRESH,
  BYPASS: CachePolicy.BYPASS,
};
const PRIORITIES: Record<Priority, ProtoPriority> = {
  LOW: ProtoPriority.LOW,
  NORMAL: ProtoPriority.NORMAL,
  HIGH: ProtoPriority.HIGH,
};
const ID_DOCUMENTS: Record<IdDocument, ProtoIdDocument> = {
  IDENTITY_CARD: ProtoIdDocument.IDENTITY_CARD,
  BUSINESS_LICENCE: ProtoIdDocument.BUSINESS_LICENCE,
  BANK_CARD: ProtoIdDocument.BANK_CARD,
  PASSPORT: ProtoIdDocument.PASSPORT,
};

/** The part that the gateway reads. Throws UsageError for a contradiction. */
export function recognitionOf(config: ReadingConfig): RecognitionConfig {
  const { features = ["TEXT"], provider, route, itemTimeoutMs, idDocument } = config;
  if (idDocument !== undefined && !features.includes("ID_DOCUMENT")) {
    throw new UsageError("which identity document to look for is said for the feature ID_DOCUMENT only");
  }
  if (provider && route) throw new UsageError("a provider and a route cannot be asked for at once");
  let reader: RecognitionConfig["reader"];
  if (provider) reader = { $case: "provider", value: provider };
  else if (route) reader = { $case: "route", value: route };
  return {
    features: features.map((feature) => chosen(FEATURES, feature, "feature")),
    reader,
    languages: [...(config.languages ?? [])],
    cachePolicy: chosen(CACHE, config.cache ?? "USE", "cache"),
    priority: chosen(PRIORITIES, config.priority ?? "NORMAL", "priority"),
    itemTimeout: itemTimeoutMs === undefined ? undefined : duration(itemTimeoutMs),
    providerOptions: { ...config.providerOptions },
    includeRawResponse: config.includeRawResponse ?? false,
    idDocument: idDocument === undefined ? ProtoIdDocument.UNSPECIFIED : chosen(ID_DOCUMENTS, idDocument, "idDocument"),
  };
}

/** The part that the preprocess service reads. */
export function normalizationOf(config: ReadingConfig): NormalizationConfig {
  return { profile: config.profile ?? "", overrides: { ...config.overrides }, provider: "" };
}

function duration(ms: number): Duration {
  if (!(ms > 0 && Number.isFinite(ms))) throw new UsageError(`a time limit is above 0 ms, not ${ms}`);
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanos: Math.floor((ms - seconds * 1000) * 1e6) };
}

function chosen<Name extends string, Value>(table: Record<Name, Value>, name: Name, of: string): Value {
  if (!Object.hasOwn(table, name)) {
    throw new UsageError(`${of} is one of ${Object.keys(table).join(", ")}, not ${name}`);
  }
  return table[name];
}
