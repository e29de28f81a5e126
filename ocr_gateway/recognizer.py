"""The use case: the route's providers in turn, each by way of the cache, one call for all who ask, and its lane."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Protocol

import structlog

from ocr_gateway.cache.entry import CacheEntry
from ocr_gateway.cache.keys import KeyMaker, KeyParts, digest_of
from ocr_gateway.cache.single_flight import SingleFlight
from ocr_gateway.cache.two_level import TwoLevelCache
from ocr_gateway.document_codec import SCHEMA_VERSION
from ocr_gateway.errors import (
    ContentRequired,
    DeadlineUnreachable,
    FieldInvalid,
    FormatUnsupported,
    ImageEmpty,
    ImageSideTooLong,
    ImageTooLargeBytes,
    ImageTooLargePixels,
    ImageUndecodable,
    ProviderTimeout,
    TenantBudgetSpent,
)
from ocr_gateway.image_header import ImageHeader
from ocr_gateway.lanes.turn import Turn
from ocr_gateway.model import (
    CacheOutcome,
    CachePolicy,
    Fallback,
    Feature,
    IdDocument,
    PageRequest,
    Recognition,
    RecognitionSpec,
    Rect,
    Trail,
)
from ocr_gateway.page_reader import LARGE_BYTES, PageReader, off_loop
from ocr_gateway.routing import CONFIDENCE_LOW, Candidate, Plan, reason_of
from rpc_runtime.expected_error import ExpectedError

_log = structlog.get_logger("ocr_gateway.recognizer")


class PlanSource(Protocol):
    """Who may read what a spec asks for."""

    def plan(self, spec: RecognitionSpec) -> Plan:
        """Raises what routing raises."""
        ...


@dataclass(slots=True, eq=False)
class _Job:
    """One item on its way along the route: the candidate that is asked now, and the surest result so far."""

    request: PageRequest
    digest: bytes
    spec: RecognitionSpec
    deadline: float
    trail: Trail
    header: ImageHeader | None = None
    asked: str = ""
    surest: Recognition | None = None


@dataclass(slots=True)
class _Shared:
    """What those who wait for one call have in common: how far it has come, its turn, and who they are."""

    trail: Trail
    turn: Turn
    jobs: deque[_Job] = field(default_factory=deque)
    ended: bool = False
    accounted: bool = False

    def leave(self, job: _Job) -> bool:
        """Takes the item out. True for the one that accounts for the call: the first of those that stay to its end, or
        the last one of all, with whom the call is given up."""
        first = self.jobs[0] is job
        self.jobs.remove(job)
        if not first or self.accounted or (self.jobs and not self.ended):
            return False
        self.accounted = True
        return True


class Recognizer:
    """Reads pages. Digests of images from 1 MiB on are made on a thread."""

    def __init__(
        self,
        plans: PlanSource,
        cache: TwoLevelCache,
        reader: PageReader,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plans = plans
        self._cache = cache
        self._reader = reader
        self._clock = clock
        self._flights: SingleFlight[Recognition, _Shared] = SingleFlight()

    def check(self, spec: RecognitionSpec) -> None:
        """Raises what routing raises for a spec that nobody can serve."""
        self._plans.plan(spec)

    def identified(self, request: PageRequest) -> PageRequest:
        """The request with the digest of its content, where that is made at once; else as it is."""
        if request.content and len(request.content) < LARGE_BYTES:
            return PageRequest(request.content, digest_of(request.content), request.regions, request.preprocessing)
        return request

    def recall_now(self, request: PageRequest, spec: RecognitionSpec) -> Recognition | None:
        """The recognition of a request with a digest as far as this process remembers it; None: ``recognize`` it."""
        if spec.cache_policy is not CachePolicy.USE or request.digest is None:
            return None
        plan = self._plans.plan(spec)
        candidates = plan.candidates(request.digest)
        entry = self._cache.recall(_key(request, request.digest, spec, candidates[0]))
        if entry is None or (len(candidates) > 1 and _is_low(entry.confidence, plan)):
            return None
        return _recalled(entry, CacheOutcome.MEMORY)

    async def recognize(self, request: PageRequest, spec: RecognitionSpec, trail: Trail | None = None) -> Recognition:
        """The page's recognition within ``spec.timeout_s`` seconds. Raises the errors of ``errors`` and no others.

        A request with content has no digest, or that of ``identified``. ``trail`` is filled, so that it says how far
        the page came when this raises.
        """
        trail = trail or Trail()
        job = _Job(request, request.digest or b"", spec, self._clock() + spec.timeout_s, trail)
        try:
            async with asyncio.timeout(spec.timeout_s):
                return await self._walk(job)
        except TimeoutError:
            if job.surest is not None:
                self._pass_over(job, "PROVIDER_TIMEOUT" if job.asked == trail.provider else "DEADLINE_UNREACHABLE")
                return _with_trail(job.surest, trail)
            if trail.provider:
                raise ProviderTimeout(trail.provider, spec.timeout_s) from None
            raise DeadlineUnreachable(spec.timeout_s) from None

    async def _walk(self, job: _Job) -> Recognition:
        """Asks the candidates in turn, on past those that fail and those whose result is not sure enough.

        A result, once there is one, is the item's answer whatever becomes of those that are asked for a surer one.
        """
        content = job.request.content
        if content is not None and not content:
            raise ImageEmpty
        if job.request.digest is None and content is not None:
            job.digest = await off_loop(digest_of, content)
        plan = self._plans.plan(job.spec)
        candidates = plan.candidates(job.digest)
        for candidate in candidates:
            last = candidate is candidates[-1]
            job.asked = candidate.provider.description.name
            try:
                found = await self._by(candidate, job, patient=last and job.surest is None)
            except ContentRequired:
                raise
            except ExpectedError as error:
                reason, passing = reason_of(error), _is_passed_over(error, job)
                if reason is None or (job.surest is None and (last or not passing)):
                    if isinstance(error, DeadlineUnreachable) and job.trail.provider:
                        # A deadline is unreachable before anything was spent, not after.
                        raise ProviderTimeout(job.trail.provider, job.spec.timeout_s) from None
                    raise
                self._pass_over(job, reason, str(error))
                continue
            if job.surest is None or (found.confidence or 0.0) >= (job.surest.confidence or 0.0):
                job.surest = found
            if found is job.surest and (last or not _is_low(found.confidence, plan)):
                break
            self._pass_over(job, CONFIDENCE_LOW, f"confidence {found.confidence}")
        if job.surest is None:
            raise AssertionError("a route has at least one provider")
        return _with_trail(job.surest, job.trail)

    def _pass_over(self, job: _Job, reason: str, detail: str = "") -> None:
        log = _log.info if reason in (CONFIDENCE_LOW, "DEADLINE_UNREACHABLE") else _log.warning
        log("provider.passed_over", provider=job.asked, reason=reason, detail=detail)
        job.trail.fallbacks = (*job.trail.fallbacks, Fallback(job.asked, reason))

    async def _by(self, candidate: Candidate, job: _Job, *, patient: bool) -> Recognition:
        """The candidate's recognition, from the cache or read. A patient item has no other candidate to go to."""
        key = _key(job.request, job.digest, job.spec, candidate)
        policy = job.spec.cache_policy
        if policy is CachePolicy.USE and (entry := self._cache.recall(key)) is not None:
            return _recalled(entry, CacheOutcome.MEMORY)
        if job.request.content is None:
            found = await self._cache.get(key) if policy is CachePolicy.USE else None
            if found is None:
                raise ContentRequired
            return _recalled(*found)
        turn = Turn(job.spec.caller, job.spec.priority, job.spec.timeout_s, job.deadline, patient=patient)
        if job.header is None:
            job.header = await self._reader.header_of(job.request.content, job.request.regions)
        if policy is CachePolicy.BYPASS:
            return await self._read(candidate, job, job.header, turn, job.trail)
        while True:
            try:
                return await self._read_together(candidate, job, job.header, key, turn)
            except TenantBudgetSpent as error:
                if error.tenant == job.spec.caller.tenant:
                    raise  # else whoever led had no budget left, and the next one to lead may have

    async def _read_together(
        self, candidate: Candidate, job: _Job, header: ImageHeader, key: str, turn: Turn
    ) -> Recognition:
        """Reads, or waits for whoever is reading the same."""
        flight_key = f"{job.spec.cache_policy.value}:{key}"
        in_progress = self._flights.common(flight_key)
        leads = in_progress is None
        shared = in_progress or _Shared(Trail(), turn)
        shared.turn.join(turn)
        shared.jobs.append(job)
        accounts = False
        try:
            recognition = await self._flights.run(
                flight_key, lambda: self._end(self._fly(candidate, job, header, key, shared), shared), shared
            )
        finally:
            accounts = shared.leave(job)
            if accounts:  # its times are those of the one who began it
                job.trail.add(shared.trail if leads else shared.trail.without_times())
            elif shared.trail.attempts:
                job.trail.provider, job.trail.model = shared.trail.provider, shared.trail.model
        if accounts or recognition.cache is not CacheOutcome.MISS:
            return recognition
        return replace(recognition, cache=CacheOutcome.COALESCED)

    async def _end(self, call: Coroutine[Any, Any, Recognition], shared: _Shared) -> Recognition:
        try:
            return await call
        finally:
            shared.ended = True

    async def _fly(
        self, candidate: Candidate, job: _Job, header: ImageHeader, key: str, shared: _Shared
    ) -> Recognition:
        """One call for all who wait here, and, where the store can tell, for those who wait at other replicas."""
        if job.spec.cache_policy is not CachePolicy.USE:
            recognition = await self._read(candidate, job, header, shared.turn, shared.trail)
            self._cache.put(_key(job.request, job.digest, job.spec, candidate), _entry(recognition))
            return recognition
        for lane in candidate.lanes.values():
            lane.expect()
        lease = await self._cache.get_or_lead(key)
        if isinstance(lease, tuple):
            return _recalled(*lease)
        try:
            recognition = await self._read(candidate, job, header, shared.turn, shared.trail)
        except BaseException:
            lease.abandon()
            raise
        key_now = _key(job.request, job.digest, job.spec, candidate)
        if key_now == key:
            self._cache.put(key, _entry(recognition), lease)
        else:  # a provider that was just starting knows its model only now
            self._cache.put(key_now, _entry(recognition))
            lease.abandon()
        return recognition

    async def _read(
        self, candidate: Candidate, job: _Job, header: ImageHeader, turn: Turn, trail: Trail
    ) -> Recognition:
        content = job.request.content or b""
        return await self._reader.read(content, header, job.request.regions, job.spec, candidate, turn, trail)


def _is_passed_over(error: ExpectedError, job: _Job) -> bool:
    """Whether the route's next provider may read what this one does not."""
    match error:
        case ImageUndecodable():
            return False
        case FieldInvalid():
            return error.field in ("recognition.languages", "recognition.id_document")
        case FormatUnsupported() | ImageTooLargeBytes() | ImageTooLargePixels() | ImageSideTooLong():
            return job.header is not None  # else it is none of a provider's limits: nobody has been asked
        case _:
            return True


def _is_low(confidence: float | None, plan: Plan) -> bool:
    """Whether the next provider is to be asked too. A page on which nothing was read counts as 0."""
    return plan.escalate_below > 0.0 and (confidence or 0.0) < plan.escalate_below


def _key(request: PageRequest, digest: bytes, spec: RecognitionSpec, candidate: Candidate) -> str:
    description = candidate.provider.description
    make = _key_maker if request.regions else _key_maker_of_whole_images
    return make(
        request.preprocessing,
        description.name,
        candidate.provider.status.model,
        description.adapter_version,
        spec.features,
        spec.languages,
        tuple(spec.options.items()) if spec.options else (),
        request.regions,
        spec.include_raw_response,
        spec.document,
        candidate.is_mosaic(request.regions),
    ).key(digest)


def _key_maker(
    preprocessing: str,
    provider: str,
    model: str,
    adapter_version: int,
    features: frozenset[Feature],
    languages: tuple[str, ...],
    options: tuple[tuple[str, str], ...],
    regions: tuple[Rect, ...],
    raw_response: bool,
    document: IdDocument | None,
    mosaic: bool,
) -> KeyMaker:
    return KeyMaker(
        KeyParts(
            preprocessing=preprocessing,
            provider=provider,
            model=model,
            adapter_version=adapter_version,
            features=features,
            schema_version=SCHEMA_VERSION,
            languages=languages,
            options=dict(options),
            regions=regions,
            raw_response=raw_response,
            document=document,
            mosaic=mosaic,
        )
    )


_key_maker_of_whole_images = lru_cache(maxsize=64)(_key_maker)


def _with_trail(recognition: Recognition, trail: Trail) -> Recognition:
    """Says with the result what all of the attempts for it came to."""
    return replace(
        recognition,
        attempts=trail.attempts,
        billed_units=trail.billed_units,
        cost=trail.cost,
        currency=trail.currency,
        fallbacks=tuple(each for each in trail.fallbacks if each.provider != recognition.provider),
        queue_ms=trail.queue_ms,
        rate_limit_ms=trail.rate_limit_ms,
        provider_ms=trail.provider_ms,
    )


def _recalled(entry: CacheEntry, outcome: CacheOutcome) -> Recognition:
    return Recognition(
        document=entry.document,
        provider=entry.provider,
        model=entry.model,
        cache=outcome,
        raw_response=entry.raw_response,
        confidence=entry.confidence,
    )


def _entry(recognition: Recognition) -> CacheEntry:
    return CacheEntry(
        document=recognition.document,
        provider=recognition.provider,
        model=recognition.model,
        raw_response=recognition.raw_response,
        confidence=recognition.confidence,
    )
