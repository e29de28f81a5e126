/** How a stream is driven. */

import { Backoff, type BackoffOptions } from "./backoff.js";
import { UsageError, type OcrMuxError } from "./errors.js";

/** How a stream is driven; what is left out has its default. */
export interface StreamPolicy {
  /** Items sent and not yet answered, at most; the server's own limit may be lower; 8. */
  concurrency?: number;
  /** Whether answers come in the order of the items, or each as it is ready; true. */
  ordered?: boolean;
  /** Whether items go by their SHA-256 first, and their content only where the server does not know it; false. */
  digestFirst?: boolean;
  /** Lost connections, while an item was with the server, after which they count as that item's own fault; 4. */
  sendsPerItem?: number;
  /** Milliseconds without a word from the server, while items are with it, after which the connection counts as lost; 600 000. */
  silenceMs?: number;
  /** Milliseconds that the whole stream may take, from the first answer that is asked for; none where left out. */
  timeoutMs?: number;
  /** How long to wait before the next connection. */
  backoff?: BackoffOptions;
  /** Hears of each lost connection: failures in a row, milliseconds until the next try, the cause. What it throws ends the stream. */
  onReconnect?: (failures: number, waitMs: number, cause: OcrMuxError) => void;
}

/** A StreamPolicy with nothing left out. */
export interface SettledPolicy {
  concurrency: number;
  ordered: boolean;
  digestFirst: boolean;
  sendsPerItem: number;
  silenceMs: number;
  timeoutMs: number | undefined;
  backoff: Backoff;
  onReconnect: StreamPolicy["onReconnect"];
  /** Items that may be started while an earlier one still holds back their answers. */
  reorderSpan: number;
}

/** The policy with its defaults. Throws UsageError for a value out of range. */
export function settled(policy: StreamPolicy): SettledPolicy {
  const { concurrency = 8, sendsPerItem = 4, silenceMs = 600_000, timeoutMs } = policy;
  if (!(Number.isInteger(concurrency) && concurrency >= 1 && Number.isInteger(sendsPerItem) && sendsPerItem >= 1)) {
    throw new UsageError("concurrency and sendsPerItem are whole numbers above 0");
  }
  if (!(silenceMs > 0 && (timeoutMs === undefined || timeoutMs > 0))) {
    throw new UsageError("silenceMs and timeoutMs are above 0");
  }
  return {
    concurrency,
    ordered: policy.ordered ?? true,
    digestFirst: policy.digestFirst ?? false,
    sendsPerItem,
    silenceMs,
    timeoutMs,
    backoff: new Backoff(policy.backoff),
    onReconnect: policy.onReconnect,
    reorderSpan: Math.max(64, 4 * concurrency),
  };
}
