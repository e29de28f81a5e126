/** Reads a stream's items one ahead, in a way that survives a lost connection. */

import { checkItem, type Item } from "./items.js";

/** The caller's items: a plain iterable is stepped on the event loop, so it should not block. */
export type Items = Iterable<Item> | AsyncIterable<Item>;

/** The caller's items, one at a time. An error of the caller's iterator is thrown by `take`, as is a faulty item's. */
export class StreamSource {
  readonly #items: Items;
  readonly #heard: () => void;
  #iterator: Iterator<Item> | AsyncIterator<Item> | undefined;
  #pulling = false;
  #ready: { item: Item | undefined } | { error: unknown } | undefined;
  #over = false;

  /** `heard` is called when `take` has something to tell. */
  constructor(items: Items, heard: () => void) {
    this.#items = items;
    this.#heard = heard;
  }

  /** Whether all items have been taken. */
  get exhausted(): boolean {
    return this.#over && this.#ready === undefined;
  }

  /** Whether `take` has something to tell: an item, the end, or an error. */
  get ready(): boolean {
    return this.#ready !== undefined;
  }

  /** Has the next item fetched meanwhile; does not wait. */
  lookAhead(): void {
    if (this.#pulling || this.#over || this.#ready !== undefined) return;
    this.#pulling = true;
    try {
      this.#pull();
    } catch (error) {
      this.#failed(error);
    }
  }

  /** The item that is ready, or undefined. */
  take(): Item | undefined {
    const ready = this.#ready;
    this.#ready = undefined;
    if (ready === undefined) return undefined;
    if ("error" in ready) throw ready.error;
    if (ready.item !== undefined) checkItem(ready.item);
    return ready.item;
  }

  /** Stops reading the caller's items, and lets their iterator clean up; one that is still busy is not waited for. */
  async close(): Promise<void> {
    const iterator = this.#over ? undefined : this.#iterator;
    this.#over = true;
    this.#ready = undefined;
    const closing = iterator?.return?.();
    if (this.#pulling) void Promise.resolve(closing).catch(() => undefined);
    else await closing;
  }

  #pull(): void {
    const items = this.#items;
    if (Symbol.asyncIterator in items) {
      const iterator = (this.#iterator ??= items[Symbol.asyncIterator]()) as AsyncIterator<Item>;
      Promise.resolve(iterator.next()).then(
        (result) => {
          this.#pulled(result);
        },
        (error: unknown) => {
          this.#failed(error);
        },
      );
    } else {
      const iterator = (this.#iterator ??= items[Symbol.iterator]()) as Iterator<Item>;
      this.#pulled(iterator.next());
    }
  }

  #pulled(result: IteratorResult<Item>): void {
    this.#pulling = false;
    if (this.#over) return;
    this.#over = result.done === true;
    this.#ready = { item: result.done === true ? undefined : result.value };
    this.#heard();
  }

  #failed(error: unknown): void {
    this.#pulling = false;
    if (this.#over) return;
    this.#over = true;
    this.#ready = { error };
    this.#heard();
  }
}
