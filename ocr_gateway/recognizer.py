"""The use case: the route's providers in turn, each by way of the cache, one call for all who ask, and its lane."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

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
    ImageShapeUnsupported,
    ImageSideTooLong,
    ImageTooLargeBytes,
    ImageTooLargePixels,
    ProviderNotConfigured,
    ProviderQuotaSpent,
    ProviderThrottled,
    ProviderTimeout,
    ProviderUnavailable,
)
from ocr_gateway.image_header import ImageHeader
from ocr_gateway.lanes.turn import Turn
from ocr_gateway.model import (
    CacheOutcome,
    CachePolicy,
    Fallback,
    Feature,
    PageRequest,
    Recognition,
    RecognitionSpec,
    Rect,
    Trail,
)
from ocr_gateway.page_reader import LARGE_BYTES, PageReader, off_loop
from ocr_gateway.routing import Candidate, Plan
from rpc_runtime.faults import ExpectedError

CONFIDENCE_LOW = "CONFIDENCE_LOW"

_log = structlog.get_logger("ocr_gateway.recognizer")


class PlanSource(Protocol):
    """Who may read what a spec asks for."""

    def plan(self, spec: RecognitionSpec) -> Plan:
        """Raises what routing raises."""
        ...


@dataclass(slots=True)
class _Shared:
    """What those who wait for one call have in common: how far it has come, and its turn."""

    trail: Trail
    turn: Turn


@dataclass(slots=True)
class _Job:
    """One item on its way along the route."""

    request: PageRequest
    digest: bytes
    spec: RecognitionSpec
    deadline: float
    trail: Trail
    header: ImageHeader | None = None


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
        deadline = self._clock() + spec.timeout_s
        try:
            async with asyncio.timeout(spec.timeout_s):
                return await self._walk(request, spec, deadline, trail)
        except TimeoutError:
            if trail.provider:
                raise ProviderTimeout(trail.provider, spec.timeout_s) from None
            raise DeadlineUnreachable(spec.timeout_s) from None

    async def _walk(self, request: PageRequest, spec: RecognitionSpec, deadline: float, trail: Trail) -> Recognition:
        """Asks the candidates in turn, on past those that fail and those whose result is not sure enough."""
        if request.content is not None and not request.content:
            raise ImageEmpty
        digest = request.digest
        if digest is None:
            digest = b"" if request.content is None else await off_loop(digest_of, request.content)
        job = _Job(request, digest, spec, deadline, trail)
        plan = self._plans.plan(spec)
        candidates = plan.candidates(digest)
        surest: Recognition | None = None
        for candidate in candidates:
            last = candidate is candidates[-1]
            try:
                found = await self._by(candidate, job, patient=last and surest is None)
            except ExpectedError as error:
                reason = _reason_to_pass_over(error, job)
                if reason is None or (last and surest is None):
                    raise
                self._pass_over(candidate, reason, str(error), trail)
                continue
            if surest is None or (found.confidence or 0.0) >= (surest.confidence or 0.0):
                surest = found
            if found is surest and (last or not _is_low(found.confidence, plan)):
                break
            self._pass_over(candidate, CONFIDENCE_LOW, f"confidence {found.confidence}", trail)
        if surest is None:
            raise AssertionError("a route has at least one provider")
        return _with_trail(surest, trail)

    def _pass_over(self, candidate: Candidate, reason: str, detail: str, trail: Trail) -> None:
        name = candidate.provider.description.name
        log = _log.info if reason == CONFIDENCE_LOW else _log.warning
        log("provider.passed_over", provider=name, reason=reason, detail=detail)
        trail.fallbacks = (*trail.fallbacks, Fallback(name, reason))

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
        return await self._read_together(candidate, job, job.header, key, turn)

    async def _read_together(
        self, candidate: Candidate, job: _Job, header: ImageHeader, key: str, turn: Turn
    ) -> Recognition:
        """Reads, or waits for whoever is reading the same."""
        flight_key = f"{job.spec.cache_policy.value}:{key}"
        in_progress = self._flights.common(flight_key)
        leads = in_progress is None
        shared = in_progress or _Shared(Trail(), turn)
        shared.turn.join(turn)
        try:
            recognition = await self._flights.run(
                flight_key, lambda: self._fly(candidate, job, header, key, shared), shared
            )
        finally:
            if leads:
                job.trail.add(shared.trail)
            elif shared.trail.attempts:
                job.trail.provider, job.trail.model = shared.trail.provider, shared.trail.model
        if leads or recognition.cache is not CacheOutcome.MISS:
            return recognition
        return replace(recognition, cache=CacheOutcome.COALESCED)

    async def _fly(
        self, candidate: Candidate, job: _Job, header: ImageHeader, key: str, shared: _Shared
    ) -> Recognition:
        """One call for all who wait here, and, where the store can tell, for those who wait at other replicas."""
        if job.spec.cache_policy is not CachePolicy.USE:
            recognition = await self._read(candidate, job, header, shared.turn, shared.trail)
            self._cache.put(_key(job.request, job.digest, job.spec, candidate), _entry(recognition))
            return recognition
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


def _reason_to_pass_over(error: ExpectedError, job: _Job) -> str | None:
    """Why the route's next provider may read what this one does not, by the error contract; None: it may not."""
    match error:
        case ProviderNotConfigured():
            return "PROVIDER_NOT_CONFIGURED"
        case ProviderUnavailable():
            return "PROVIDER_UNAVAILABLE"
        case ProviderThrottled() | ProviderQuotaSpent():
            return "PROVIDER_QUOTA"
        case FieldInvalid(field="recognition.languages"):
            return "FIELD_INVALID"
        case _ if job.header is None:
            return None  # it is none of a provider's limits: the image was refused before one was asked
        case FormatUnsupported():
            return "FORMAT_UNSUPPORTED"
        case ImageTooLargeBytes():
            return "IMAGE_TOO_LARGE_BYTES"
        case ImageTooLargePixels() | ImageSideTooLong():
            return "IMAGE_TOO_LARGE_PIXELS"
        case ImageShapeUnsupported():
            return "IMAGE_SHAPE_UNSUPPORTED"
        case _:
            return None


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
        )
    )


_key_maker_of_whole_images = lru_cache(maxsize=64)(_key_maker)


def _with_trail(recognition: Recognition, trail: Trail) -> Recognition:
    """Says with the result what all of the attempts for it came to."""
    return replace(
        recognition,
        attempts=trail.attempts,
        billed_units=trail.billed_units,
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
