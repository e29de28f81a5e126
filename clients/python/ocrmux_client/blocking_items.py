"""Items from an iterator that may block, for a stream on an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncGenerator, Iterable, Iterator

import grpc

from ocrmux_client.errors import OcrMuxError
from ocrmux_client.items import Item

_Step = asyncio.Future[Item | None]


async def stepped_aside(items: Iterable[Item]) -> AsyncGenerator[Item, None]:
    """The items, each drawn when it is asked for, all on one daemon thread; the iterator's errors are raised here.

    Leaving early closes the iterator once its step has ended; that is not waited for.
    """
    steps: queue.SimpleQueue[_Step | None] = queue.SimpleQueue()
    threading.Thread(target=_draw, args=(items, steps), name="ocrmux-items", daemon=True).start()
    loop = asyncio.get_running_loop()
    try:
        while True:
            step: _Step = loop.create_future()
            steps.put(step)
            if (item := await step) is None:
                return
            yield item
    finally:
        steps.put(None)


def _draw(items: Iterable[Item], steps: queue.SimpleQueue[_Step | None]) -> None:
    iterator: Iterator[Item] | None = None
    while (step := steps.get()) is not None:
        item: Item | None = None
        failure: Exception | None = None
        try:
            iterator = iter(items) if iterator is None else iterator
            item = next(iterator, None)
        except Exception as error:
            failure = error
        except BaseException as error:  # an end of this thread would have the stream wait for ever
            message = f"the iterator of the items ended with {error!r}"
            failure = OcrMuxError(grpc.StatusCode.CANCELLED, "", message)
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
            step.get_loop().call_soon_threadsafe(_tell, step, item, failure)
    if (close := getattr(iterator, "close", None)) is not None:
        close()


def _tell(step: _Step, item: Item | None, failure: Exception | None) -> None:
    if step.done():
        return  # nobody waits for it any more
    if failure is not None:
        step.set_exception(failure)
    else:
        step.set_result(item)
