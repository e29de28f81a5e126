/** The items of a stream that have no last answer yet, and which of them may be sent. Plain state, no waiting. */

import { UsageError } from "./errors.js";
import type { StreamLimits } from "./gen/ocrmux/ocr/v1/recognition.js";
import type { Item } from "./items.js";

/** An item on its way. */
export interface Entry {
  readonly item: Item;
  /** In the order of the items, from 0. */
  readonly place: number;
  /** Whether it goes by its digest. */
  byDigest: boolean;
  /** Of its content; undefined until that was looked at. */
  sizeBytes: number | undefined;
  /** The last page that was given out. */
  pagesGiven: number;
  /** Whether the present connection has it, or a part of it. */
  isSent: boolean;
  /** Connections that were lost while it was with the server. */
  losses: number;
  /** Times that it was to be sent elsewhere. */
  moves: number;
}

/** Items waiting to be sent, with the server, and to be moved to another connection. */
export class ItemWindow {
  /** In the order in which they are sent. */
  readonly waiting: Entry[] = [];
  /** By their ids. */
  readonly inFlight = new Map<string, Entry>();
  /** Refused by a server that others may not be like. */
  readonly moving: Entry[] = [];
  readonly #ids = new Set<string>();
  readonly #concurrency: number;
  #bytes = 0;

  constructor(concurrency: number) {
    this.#concurrency = concurrency;
  }

  /** Puts a new item behind the others. Throws UsageError for an id that is in use. */
  admit(item: Item, place: number, byDigest: boolean): void {
    if (this.#ids.has(item.requestId)) {
      throw new UsageError(`the requestId ${JSON.stringify(item.requestId)} is used by two items`);
    }
    this.#ids.add(item.requestId);
    this.waiting.push({
      item,
      place,
      byDigest,
      sizeBytes: undefined,
      pagesGiven: 0,
      isSent: false,
      losses: 0,
      moves: 0,
    });
  }

  /** Whether one more item could be sent, were it small. */
  hasPlace(limits: StreamLimits): boolean {
    return this.inFlight.size < Math.min(this.#concurrency, limits.maxItemsInFlight || this.#concurrency);
  }

  /** Takes the first waiting item into the window, if there is room for it; one alone is always let through. */
  take(limits: StreamLimits): Entry | undefined {
    const [entry] = this.waiting;
    if (entry?.sizeBytes === undefined) return undefined;
    const over = limits.maxBytesInFlight > 0 && this.#bytes + entry.sizeBytes > limits.maxBytesInFlight;
    if (this.inFlight.size > 0 && (over || !this.hasPlace(limits))) return undefined;
    this.waiting.shift();
    this.inFlight.set(entry.item.requestId, entry);
    this.#bytes += entry.sizeBytes;
    return entry;
  }

  /** Takes an item that has an answer out of those with the server. */
  answered(entry: Entry): void {
    this.inFlight.delete(entry.item.requestId);
    this.#bytes -= entry.sizeBytes ?? 0;
  }

  /** Has an item that was with the server sent again, before those that are new. */
  again(entry: Entry): void {
    entry.isSent = false;
    const index = this.waiting.findIndex((other) => other.place > entry.place);
    this.waiting.splice(index < 0 ? this.waiting.length : index, 0, entry);
  }

  /** Forgets an item that has its last answer; its id is free again. */
  finish(entry: Entry): void {
    const index = this.waiting.indexOf(entry);
    if (index >= 0) this.waiting.splice(index, 1);
    if (this.inFlight.get(entry.item.requestId) === entry) this.answered(entry);
    this.#ids.delete(entry.item.requestId);
  }

  /** Whether any item is with the server. */
  get awaitsAnswers(): boolean {
    for (const entry of this.inFlight.values()) if (entry.isSent) return true;
    return false;
  }

  /** Whether the content of any item in flight may still be wanted. */
  get mayAskForContent(): boolean {
    for (const entry of this.inFlight.values()) if (entry.byDigest) return true;
    return false;
  }

  /**
   * After a connection: all that are unfinished wait again, in the order of the items. Files are looked at anew. Gives those
   * that were with the server.
   */
  regather(): Entry[] {
    const left = [...this.inFlight.values()];
    const lost = left.filter((entry) => entry.isSent);
    this.waiting.push(...left, ...this.moving);
    this.inFlight.clear();
    this.moving.length = 0;
    this.#bytes = 0;
    this.waiting.sort((one, other) => one.place - other.place);
    for (const entry of this.waiting) {
      entry.sizeBytes = undefined;
      entry.isSent = false;
    }
    return lost;
  }
}
