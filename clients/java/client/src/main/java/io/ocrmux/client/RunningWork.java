package io.ocrmux.client;

import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.RejectedExecutionException;
import java.util.function.Consumer;

/** The streams and calls of a client that have not ended. */
final class RunningWork implements ItemStream.Register {
  private final Set<ItemStream> streams = ConcurrentHashMap.newKeySet();
  private final Set<Consumer<OcrMuxException>> calls = ConcurrentHashMap.newKeySet();
  private volatile OcrMuxException ended;

  /** Throws RejectedExecutionException where the work has been ended as a whole. */
  @Override
  public void began(ItemStream stream) {
    streams.add(stream);
    if (ended != null) {
      streams.remove(stream);
      throw new RejectedExecutionException(ended);
    }
  }

  @Override
  public void ended(ItemStream stream) {
    streams.remove(stream);
  }

  /** The same call, known here until it has ended. */
  <T> CompletableFuture<T> track(CompletableFuture<T> call) {
    Consumer<OcrMuxException> fail = call::completeExceptionally;
    calls.add(fail);
    if (ended != null) {
      call.completeExceptionally(ended);
    }
    call.whenComplete((value, error) -> calls.remove(fail));
    return call; // and not what depends on it: cancelling that would end nothing
  }

  /** Ends all of them, and whatever comes later, for this reason. */
  void end(OcrMuxException reason) {
    ended = reason;
    streams.forEach(stream -> stream.leave(reason));
    calls.forEach(fail -> fail.accept(reason));
  }
}
