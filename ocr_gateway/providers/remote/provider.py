"""A provider over the network: what all of them do around their vendor's dialect."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from ocr_gateway.errors import (
    ProviderNotConfigured,
    ProviderUnavailable,
)
from ocr_gateway.image_fit import check_fit
from ocr_gateway.image_header import ImageHeader
from ocr_gateway.model import (
    Page,
    ProviderCall,
    ProviderDescription,
    ProviderResult,
    ProviderState,
    ProviderStatus,
)
from ocr_gateway.providers.http import HttpAnswer, HttpClient, HttpFailure, OutgoingBody
from ocr_gateway.providers.remote.access import Access
from ocr_gateway.providers.remote.dialect import Dialect, Request
from ocr_gateway.providers.remote.meanings import Meaning, Refusal
from ocr_gateway.providers.remote.secrecy import Kept
from ocr_gateway.providers.remote.upright import upright_call
from ocr_gateway.providers.remote.values import parse_object
from ocr_gateway.providers.remote.verdicts import Verdicts
from rpc_runtime.expected_error import ExpectedError

LARGE_BYTES = 1024 * 1024
ANSWER_WEIGHT = 32
"""A byte of an answer takes at least so many times as long to read as one of an image takes to encode: 1 MB of words
with their places some 150 ms."""
_CLOSE_S = 3.0
_MAX_WORDS = 200
_DAY_S = 86_400
_LONGEST_QUOTA_REST_S = 3600.0

P = ParamSpec("P")
ResultT = TypeVar("ResultT")


@dataclass(slots=True, eq=False)
class _UnderWay:
    """A call under way: what ends it, and what it sends."""

    end: asyncio.Timeout
    body: OutgoingBody | None = None

    @property
    def may_be_billed(self) -> bool:
        """Whether some of it was sent."""
        return self.body is not None and self.body.is_sent


class RemoteProvider:
    """Implements the port for a vendor's dialect.

    Each attempt makes one call of the service, never two. It fails after ``timeout_s``; before, it may wait for a
    token, which ``until_ready`` keeps out of it. A refused token is told to ``access`` and the attempt ends in
    ``ProviderUnavailable`` with ``retry_after_s`` 0, so that the lane's next attempt goes through the rate limit. An
    action that is not open to the keys is rested for ``rest_s``, one whose quota is spent for longer; when it is not
    the one that all calls of the feature have, the others go on.

    ``kept`` are the keys, which services quote in their errors: they are taken out of what is told on.
    ``http`` is opened and closed with the provider. ``clock`` counts monotonic seconds, ``wall_clock`` seconds of the
    epoch, on which the service's day ends ``day_offset_s`` before that of UTC.
    """

    def __init__(
        self,
        dialect: Dialect,
        *,
        http: HttpClient,
        access: Access,
        kept: Kept | None = None,
        timeout_s: float = 10.0,
        rest_s: float = 60.0,
        day_offset_s: int = 0,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._dialect = dialect
        self._description = dialect.description
        self._name = self._description.name
        self._http = http
        self._access = access
        self._timeout_s = timeout_s
        self._wall_clock = wall_clock
        self._verdicts = Verdicts(
            dialect,
            access,
            kept or Kept(),
            rest_s=rest_s,
            day_offset_s=day_offset_s,
            clock=clock,
            wall_clock=wall_clock,
        )
        self._calls: set[_UnderWay] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._started = self._closed = False

    @property
    def description(self) -> ProviderDescription:
        """What never changes."""
        return self._description

    @property
    def dialect(self) -> Dialect:
        """The vendor's API."""
        return self._dialect

    @property
    def status(self) -> ProviderStatus:
        """STARTING until the first fetch of a token ends; NOT_CONFIGURED without keys, or while they are rejected."""
        if self._closed:
            return self._status(ProviderState.NOT_CONFIGURED, "it is closed")
        if self._access.missing:
            return self._status(ProviderState.NOT_CONFIGURED, self._access.missing)
        if rejection := self._access.rejection:
            return self._status(ProviderState.NOT_CONFIGURED, rejection)
        if not self._started or self._access.is_first_under_way:
            return self._status(ProviderState.STARTING, "a token is being asked for" if self._started else "")
        return self._status(ProviderState.SERVING, self._access.failure)

    async def start(self) -> None:
        """Opens the connections' pool and begins to fetch a token where one is needed."""
        if self._closed or self._started:
            return
        await self._http.open()
        self._started = True
        if not self._access.missing:
            self._access.prefetch()

    async def until_ready(self) -> None:
        """Returns when a call can be sent at once, which is nearly always at once.

        A call that waits for a token leaves later than its permit says, and after a wait all leave together: more in
        a second than the quota. So a lane awaits this before it takes a permit. Raises as ``recognize`` does.
        """
        self._check_serving()
        await self._access.get()

    def check(self, call: ProviderCall) -> None:
        """Raises FieldInvalid for what the call's action does not have; and for an action that only this call asks
        for, what the service said of it, for as long as it rests."""
        self._dialect.check(call)
        if not self._dialect.is_for_all(call):
            self._verdicts.check_open(self._dialect.action(call))

    async def recognize(self, call: ProviderCall) -> ProviderResult:
        """Reads one image, in one call. Raises as the port says; what the service does not take is refused unsent."""
        outcome = (await self.recognize_together([call]))[0]
        if isinstance(outcome, ProviderResult):
            return outcome
        try:
            raise outcome
        finally:
            del outcome  # it refers to this frame, and the frame to the image

    async def recognize_together(self, calls: Sequence[ProviderCall]) -> Sequence[ProviderResult | Exception]:
        """Reads several images of one feature in one call; gives what became of each, in order.

        An image that the service would not take is refused and the others are sent. Raises what concerns all of them.
        """
        outcomes: dict[int, ProviderResult | Exception] = {}
        sound: dict[int, ProviderCall] = {}
        for place, call in enumerate(calls):
            try:
                self._dialect.check(call)
                self._check_fit(call)
                upright = call if self._dialect.accepts_orientation else await upright_call(call)
                if upright is not call:  # turning it has encoded it anew
                    self._check_fit(upright)
                self._check_room(upright, list(sound.values()))
                sound[place] = upright
            except ExpectedError as error:
                outcomes[place] = error.with_traceback(None)  # which refers to this frame, and that to the images
        if sound:
            self._check_serving()
            self._verdicts.check_open(self._dialect.action(next(iter(sound.values()))))
            async with self._under_way() as under_way:
                outcomes |= zip(sound, await self._read(list(sound.values()), under_way), strict=True)
        return [outcomes[place] for place in range(len(calls))]

    async def close(self) -> None:
        """Ends the calls under way; they get ``ProviderUnavailable``, and their connections are closed."""
        is_first, self._closed = not self._closed, True
        for call in self._calls if is_first else ():
            call.end.reschedule(asyncio.get_running_loop().time())
        await self._access.close()
        with contextlib.suppress(TimeoutError):  # what is left then encodes an image on a thread, and ends by itself
            async with asyncio.timeout(_CLOSE_S):
                await self._idle.wait()
        await self._http.close()

    def _status(self, state: ProviderState, detail: str) -> ProviderStatus:
        return ProviderStatus(state, model=self._dialect.model, detail=detail)

    # Before the call

    def _check_serving(self) -> None:
        if self._closed:
            raise ProviderUnavailable(self._name, "it is being stopped")
        if self._access.missing or self._access.rejection:
            raise ProviderNotConfigured(self._name, self._access.missing or self._access.rejection)
        if not self._started:
            raise ProviderUnavailable(self._name, "it was not started")

    def _check_fit(self, call: ProviderCall) -> None:
        check_fit(len(call.image), ImageHeader(call.media_type, call.width, call.height), self._dialect.limits(call))

    def _check_room(self, call: ProviderCall, others: Sequence[ProviderCall]) -> None:
        """Raises for an image that has grown, when it was turned, out of what a call may carry beside the others."""
        limit = self._description.features[call.feature].batch.max_bytes
        if limit and others and sum(len(each.image) for each in (*others, call)) > limit:
            raise ProviderUnavailable(self._name, "it does not fit into a call with the others", retry_after_s=0.0)

    @asynccontextmanager
    async def _under_way(self) -> AsyncIterator[_UnderWay]:
        """Lets ``close`` end what is in here."""
        self._idle.clear()
        call = _UnderWay(asyncio.timeout(None))
        try:
            async with call.end:
                self._calls.add(call)
                try:
                    yield call
                finally:
                    self._calls.discard(call)
        except TimeoutError:
            raise ProviderUnavailable(self._name, "it is being stopped", may_be_billed=call.may_be_billed) from None
        finally:
            if not self._calls:
                self._idle.set()

    # The call

    async def _read(self, calls: Sequence[ProviderCall], under_way: _UnderWay) -> list[ProviderResult | Exception]:
        body, sha256 = await self._body(calls)
        under_way.body = body
        access = await self._access.get()
        answer = await self._exchange(calls, body, sha256, access)
        said = await self._results(answer, calls, access)
        return [self._outcome(outcome, call, access) for outcome, call in zip(said, calls, strict=True)]

    async def _body(self, calls: Sequence[ProviderCall]) -> tuple[OutgoingBody, str]:
        """The body, with its SHA-256 where that is signed."""
        unsent = calls[0].unsent
        if len(calls) == 1 and unsent.content:
            body, unsent.content = OutgoingBody(unsent.content), b""
            return body, unsent.sha256
        return await off_loop(sum(len(call.image) for call in calls), self._encoded, calls)

    def _encoded(self, calls: Sequence[ProviderCall]) -> tuple[OutgoingBody, str]:
        content = self._dialect.body(calls)
        return OutgoingBody(content), hashlib.sha256(content).hexdigest() if self._dialect.signs_body else ""

    async def _exchange(
        self, calls: Sequence[ProviderCall], body: OutgoingBody, sha256: str, access: str
    ) -> HttpAnswer:
        """The service's answer, whatever it says."""
        begun = False

        async def send(request: Request) -> HttpAnswer:
            nonlocal begun
            try:
                answer = await self._http.send(
                    request.method,
                    request.url,
                    headers=request.headers,
                    body=body if request.method == "POST" else None,
                    begin=_nothing if begun else calls[0].begin,
                    timeout_s=self._timeout_s,
                )
            except HttpFailure:
                raise
            except Exception:
                if not begun and len(calls) == 1:  # its turn has passed, and the next one is near
                    calls[0].unsent.content, calls[0].unsent.sha256 = body.unsent, sha256
                raise
            begun = True
            return answer

        request = self._dialect.request(calls, sha256, access, self._wall_clock())
        try:
            return await self._in_time(self._dialect.exchange(send, request), body)
        except HttpFailure as failure:
            raise ProviderUnavailable(self._name, str(failure), may_be_billed=body.is_sent) from None
        except Refusal as refusal:
            raise self._verdicts.error(refusal, calls[0], access) from None
        except ValueError as error:
            raise self._verdicts.malformed(error, access, may_be_billed=body.is_sent) from None

    async def _in_time(self, exchange: Awaitable[HttpAnswer], body: OutgoingBody) -> HttpAnswer:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await exchange
        except TimeoutError:
            raise ProviderUnavailable(
                self._name, f"timed out: no answer within {self._timeout_s:g} s", may_be_billed=body.is_sent
            ) from None

    # The answer

    async def _results(
        self, answer: HttpAnswer, calls: Sequence[ProviderCall], access: str
    ) -> Sequence[ProviderResult | Refusal]:
        """What the answer says of each call. Raises what it says of all of them."""
        said: dict[str, Any] | None = None
        fault, work = "", len(answer.body) * ANSWER_WEIGHT
        try:
            said = await off_loop(work, parse_object, answer.body)
        except ValueError as error:
            fault = str(error)
        try:
            refusal = self._dialect.refusal(answer, said)
        except ValueError as error:
            raise self._verdicts.malformed(error, access) from None
        if refusal is not None:
            if len(calls) == 1:
                return [refusal]
            raise self._verdicts.error(refusal, calls[0], access)
        if said is None:
            raise self._verdicts.malformed(fault, access)
        try:
            results = await off_loop(work, self._dialect.results, said, calls)
        except ValueError as error:
            raise self._verdicts.malformed(error, access) from None
        if len(results) != len(calls):
            raise self._verdicts.malformed(f"{len(results)} results for {len(calls)} images", access)
        self._access.accepted()
        if len(calls) == 1 and calls[0].include_raw_response and isinstance(results[0], ProviderResult):
            return [ProviderResult(results[0].page, results[0].billed_units, answer.body)]
        return results

    def _outcome(
        self, outcome: ProviderResult | Refusal, call: ProviderCall, access: str
    ) -> ProviderResult | Exception:
        """The result, or what a refusal means; an image that has nothing to read is an empty page."""
        if isinstance(outcome, ProviderResult):
            return outcome
        if self._verdicts.meaning(outcome) in (Meaning.NOTHING_HERE, Meaning.NOT_THIS_DOCUMENT):
            return ProviderResult(Page(call.width, call.height))
        return self._verdicts.error(outcome, call, access)


async def off_loop(size: int, work: Callable[P, ResultT], *args: P.args, **kwargs: P.kwargs) -> ResultT:
    """``work``, on a thread where there is more than a mebibyte of it."""
    if size <= LARGE_BYTES:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)


def _nothing() -> None:
    """A turn that was taken already."""
