/** Waits that can be ended: every one of the client's is one of these. */

import { setMaxListeners } from "node:events";

/** Waits for so many milliseconds; rejects with the signal's reason as soon as that aborts. */
export type Sleep = (ms: number, signal: AbortSignal) => Promise<void>;

// A longer timer of Node's fires at once.
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Waits by the clock. */
export const sleep: Sleep = async (ms, signal) => {
  const endMs = performance.now() + ms;
  for (let restMs = ms; restMs > 0; restMs = endMs - performance.now()) {
    await interruptible(signal, (done) => {
      const timer = setTimeout(done, Math.min(restMs, LONGEST_TIMER_MS));
      return () => {
        clearTimeout(timer);
      };
    });
  }
};

/** What the promise gives, or the signal's reason as soon as that aborts; nothing is left at the signal after either. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  let value: T | undefined;
  promise.catch(() => undefined); // where the signal has aborted already, nobody else hears of its failure
  await interruptible(signal, (done, fail) => {
    promise.then((given) => {
      value = given;
      done();
    }, fail);
    return () => undefined;
  });
  return value as T;
}

/** Calls back when the signal aborts, at once if it has; gives what ends that. */
export function onAbort(signal: AbortSignal | undefined, heard: () => void): () => void {
  if (signal === undefined) return () => undefined;
  if (signal.aborted) {
    heard();
    return () => undefined;
  }
  setMaxListeners(0, signal); // one signal may stop any number of calls
  signal.addEventListener("abort", heard, { once: true });
  return () => {
    signal.removeEventListener("abort", heard);
  };
}

/** Calls back once after so many milliseconds, any number; gives what ends that. */
export function after(ms: number | undefined, heard: () => void): () => void {
  if (ms === undefined) return () => undefined;
  const stop = new AbortController();
  sleep(ms, stop.signal).then(heard, () => undefined);
  return () => {
    stop.abort();
  };
}

/** Lets those who wait look again whether what they wait for is so. */
export class Notice {
  #waiting: (() => void)[] = [];
  #given = 0;

  /** How many notices were given until now. */
  get given(): number {
    return this.#given;
  }

  /** Resolves at the next notice; at once if there were others than `seen`. */
  wait(seen = this.#given): Promise<void> {
    if (seen !== this.#given) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  /** Wakes all who wait. */
  notify(): void {
    this.#given += 1;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

function interruptible(
  signal: AbortSignal,
  begin: (done: () => void, fail: (error: Error) => void) => () => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const settle = (act: () => void): void => {
      signal.removeEventListener("abort", abort);
      end();
      act();
    };
    const abort = (): void => {
      settle(() => {
        reject(signal.reason as Error);
      });
    };
    const fail = (error: Error): void => {
      settle(() => {
        reject(error);
      });
    };
    signal.addEventListener("abort", abort, { once: true });
    const end = begin(() => {
      settle(resolve);
    }, fail);
  });
}
