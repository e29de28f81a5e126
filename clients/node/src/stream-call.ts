/** One bidirectional call, as something to be written to and read from by turns, never beyond what the other side takes. */

import type { ClientDuplexStream, ServiceError } from "@grpc/grpc-js";
import { OcrMuxError } from "./errors.js";
import { after, Notice } from "./waiting.js";

/** One call of a stream. */
export class StreamCall<Request, Response> {
  readonly #call: ClientDuplexStream<Request, Response>;
  readonly #over = new AbortController();
  readonly #changed = new Notice();
  #status: ServiceError | undefined;
  #ended = false;
  #left = false;

  constructor(call: ClientDuplexStream<Request, Response>) {
    this.#call = call;
    const changed = (): void => {
      this.#changed.notify();
    };
    call.on("readable", changed);
    call.on("end", () => {
      this.#ended = true;
      changed();
    });
    call.on("error", (error: ServiceError) => {
      // Also the write that met the call's end: the first one, the status, tells why.
      this.#status ??= error;
      this.#over.abort();
      changed();
    });
    call.on("status", () => {
      this.#over.abort();
      changed();
    });
  }

  /** Aborts once nothing can be sent any more: the call has its status, or was left. Answers may still be there to read. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** Whether it was left here. */
  get left(): boolean {
    return this.#left;
  }

  /** Sends a message, and returns once the transport has taken it; at once when the call is over: its status tells why. */
  write(message: Request): Promise<void> {
    return new Promise((resolve) => {
      if (this.over.aborted) {
        resolve();
        return;
      }
      const done = (): void => {
        this.over.removeEventListener("abort", done);
        resolve();
      };
      this.over.addEventListener("abort", done, { once: true });
      this.#call.write(message, done);
    });
  }

  /** Says that no further message follows. */
  halfClose(): void {
    if (!this.over.aborted) this.#call.end();
  }

  /**
   * The next response; undefined when the call has ended with OK or was left. Throws OcrMuxError when it ended otherwise.
   * `look` is called before each wait, gives the milliseconds after which it wants to be called again, and may throw.
   */
  async read(look: () => number): Promise<Response | undefined> {
    for (;;) {
      if (this.#left) return undefined;
      const response = this.#call.read() as Response | null;
      if (response !== null) return response;
      if (this.#ended) {
        if (this.#status !== undefined) throw OcrMuxError.fromCall(this.#status);
        return undefined;
      }
      const changed = this.#changed.wait();
      const silent = after(look(), () => {
        this.#changed.notify();
      });
      await changed;
      silent();
    }
  }

  /** Ends the call here; the server stops the work that nobody else waits for. */
  leave(): void {
    this.#left = true;
    this.#call.cancel();
    this.#over.abort();
    this.#changed.notify();
  }
}
