"""The pages of a file, in order, from worker processes that make some of them ahead."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from itertools import islice

from preprocess_service.model import NormalizedPage, PageFailure, Source
from preprocess_service.page_order import PageOrder
from preprocess_service.page_workers import PageWorkers


class Pipeline:
    """Makes pages fit for recognition, in the workers."""

    def __init__(self, workers: PageWorkers) -> None:
        self._workers = workers

    async def pages(
        self, source: Source, order: PageOrder, *, first_page: int = 1, last_page: int | None = None
    ) -> AsyncGenerator[NormalizedPage | PageFailure, None]:
        """The pages from ``first_page`` to ``last_page`` (1 is the first; None, or one that is not there: the file's
        last), in order.

        Of a file of several pages one more is begun than there are workers, so that none of these waits for the page
        that is to come first; so many at the most are made and wait while the caller holds the one before them.

        Raises, before any page, what concerns the file as a whole: ImageEmpty, ImageUndecodable, PasswordRequired,
        FormatUnsupported, ImageTooLargeBytes, ImageTooLargePixels, TooManyPages, PageOutOfDocument; for a file of one
        page also PageBeyondTime, PageBeyondMemory and DecoderCrashed; and WorkersUnavailable at any page. In a file of
        several pages an expected error of one is a PageFailure in its place. Closing the iterator stops the work ahead
        and frees the file.
        """
        ahead: deque[asyncio.Task[NormalizedPage | PageFailure]] = deque()
        with self._workers.document(source) as document:

            def begin(number: int) -> None:
                ahead.append(asyncio.create_task(self._workers.make(document, number, order)))

            try:
                begin(first_page)
                await document.wait_opened(ahead[0])
                last = document.page_count if last_page is None else min(last_page, document.page_count)
                to_begin = iter(range(first_page + 1, last + 1))
                for number in islice(to_begin, self._workers.count):
                    begin(number)
                while ahead:
                    await asyncio.wait({ahead[0]})
                    outcome = ahead.popleft().result()
                    if isinstance(outcome, PageFailure) and outcome.page_count == 0:
                        raise outcome.error
                    for number in islice(to_begin, 1):
                        begin(number)
                    yield outcome
            finally:
                for task in ahead:
                    task.cancel()
                await asyncio.gather(*ahead, return_exceptions=True)
