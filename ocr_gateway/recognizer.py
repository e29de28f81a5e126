"""The use case: cache, then one call for all who ask at once, then the route's providers, each by its lane."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar
from weakref import WeakValueDictionary

import structlog

from ocr_gateway.cache.entry import CacheEntry
from ocr_gateway.cache.keys import KeyParts, cache_key, digest_of
from ocr_gateway.cache.single_flight import SingleFlight
from ocr_gateway.cache.two_level import TwoLevelCache
from ocr_gateway.document_codec import SCHEMA_VERSION, encode_document
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
    ProviderTimeout,
    ProviderUnavailable,
)
from ocr_gateway.image_header import ImageHeader, read_header
from ocr_gateway.image_pixels import crop_pngs
from ocr_gateway.model import (
    CacheOutcome,
    CachePolicy,
    Fallback,
    Page,
    PageRequest,
    ProviderCall,
    ProviderResult,
    Recognition,
    RecognitionSpec,
    Trail,
)
from ocr_gateway.regions import check_regions, merge_regions, whole_pixels
from ocr_gateway.routing import Candidate
from rpc_runtime.faults import ExpectedError

LARGE_BYTES = 1024 * 1024

ResultT = TypeVar("ResultT")

_log = structlog.get_logger("ocr_gateway.recognizer")


class CandidateSource(Protocol):
    """Who may read what a spec asks for, best first."""

    def candidates(self, spec: RecognitionSpec) -> tuple[Candidate, ...]:
        """At least one. Raises what routing raises."""
        ...


@dataclass(frozen=True, slots=True)
class _Job:
    """A page that the cache does not have, and who may read it."""

    request: PageRequest
    content: bytes
    digest: bytes
    spec: RecognitionSpec
    candidates: tuple[Candidate, ...]


class Recognizer:
    """Reads pages. ``max_pixels`` bounds an image by its header, before anything is decoded.

    ``cropping`` decodes images for their regions, apart from the short looks at headers.
    """

    def __init__(
        self,
        candidates: CandidateSource,
        cache: TwoLevelCache,
        *,
        max_pixels: int,
        cropping: Executor,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._candidates = candidates
        self._cache = cache
        self._max_pixels = max_pixels
        self._cropping = cropping
        self._clock = clock
        self._flights: SingleFlight[Recognition] = SingleFlight()
        self._trails: WeakValueDictionary[str, Trail] = WeakValueDictionary()

    def check(self, spec: RecognitionSpec) -> None:
        """Raises what routing raises for a spec that nobody can serve."""
        self._candidates.candidates(spec)

    async def recognize(self, request: PageRequest, spec: RecognitionSpec, trail: Trail | None = None) -> Recognition:
        """The page's recognition within ``spec.timeout_s`` seconds. Raises the errors of ``errors`` and no others.

        ``trail`` is filled, so that it says how far the page came when this raises.
        """
        trail = trail or Trail()
        try:
            async with asyncio.timeout(spec.timeout_s):
                return await self._recall_or_read(request, spec, trail)
        except TimeoutError:
            if trail.provider:
                raise ProviderTimeout(trail.provider, spec.timeout_s) from None
            raise DeadlineUnreachable(spec.timeout_s) from None

    async def _recall_or_read(self, request: PageRequest, spec: RecognitionSpec, trail: Trail) -> Recognition:
        if request.content is not None and not request.content:
            raise ImageEmpty
        digest = request.digest or b"" if request.content is None else await _off_loop(digest_of, request.content)
        candidates = self._candidates.candidates(spec)
        key = _key(request, spec, digest, candidates[0])
        if spec.cache_policy is CachePolicy.USE and (found := await self._cache.get(key)) is not None:
            return _recalled(*found)
        if request.content is None:
            raise ContentRequired
        job = _Job(request, request.content, digest, spec, candidates)
        if spec.cache_policy is CachePolicy.BYPASS:
            return await self._read(job, trail)
        return await self._read_together(job, f"{spec.cache_policy.value}:{key}", trail)

    async def _read_together(self, job: _Job, flight_key: str, trail: Trail) -> Recognition:
        """Reads, or waits for whoever is reading the same."""
        shared = self._trails.setdefault(flight_key, Trail())
        try:
            recognition, leads = await self._flights.run(flight_key, lambda: self._read(job, shared))
        finally:
            trail.follow(shared)
        return recognition if leads else _coalesced(recognition)

    async def _read(self, job: _Job, trail: Trail) -> Recognition:
        """Asks the candidates in turn. What a later one read before is taken from the cache."""
        header = await _off_loop(read_header, job.content)
        self._check_size(header, job.request)
        fallbacks: list[Fallback] = []
        for candidate in job.candidates:
            if fallbacks and job.spec.cache_policy is CachePolicy.USE:
                found = await self._cache.get(_key(job.request, job.spec, job.digest, candidate))
                if found is not None:
                    return replace(_recalled(*found), fallbacks=tuple(fallbacks))
            try:
                recognition = await self._ask(job, header, candidate, trail)
            except (ProviderNotConfigured, ProviderUnavailable, FieldInvalid) as error:
                reason = _reason_to_pass_over(error)
                if reason is None or candidate is job.candidates[-1]:
                    raise
                name = candidate.provider.description.name
                _log.warning("provider.passed_over", provider=name, reason=reason, detail=str(error))
                fallbacks.append(Fallback(name, reason))
                trail.fallbacks = tuple(fallbacks)
                continue
            if job.spec.cache_policy is not CachePolicy.BYPASS:
                # The key is made anew: a provider that was just starting knows its model only now.
                self._cache.put(_key(job.request, job.spec, job.digest, candidate), _entry(recognition))
            return replace(recognition, fallbacks=tuple(fallbacks))
        raise AssertionError("a route has at least one provider")

    def _check_size(self, header: ImageHeader, request: PageRequest) -> None:
        pixels = header.width * header.height
        if pixels > self._max_pixels:
            raise ImageTooLargePixels(value=pixels, limit=self._max_pixels)
        check_regions(request.regions, header.width, header.height)

    async def _ask(self, job: _Job, header: ImageHeader, candidate: Candidate, trail: Trail) -> Recognition:
        description = candidate.provider.description
        _check_fit(job.content, header, candidate)
        began = self._clock()
        async with candidate.lane.hold():
            turn = self._clock()
            trail.provider, trail.model = description.name, candidate.provider.status.model
            trail.attempts += len(job.request.regions) or 1
            trail.queue_ms += (turn - began) * 1000
            try:
                if job.request.regions:
                    result = await self._call_for_regions(job, header, candidate)
                else:
                    result = await _call(candidate, _provider_call(job.content, header, job.spec))
            finally:
                trail.provider_ms += (self._clock() - turn) * 1000
        return Recognition(
            document=encode_document(result.page),
            provider=description.name,
            model=candidate.provider.status.model,
            cache=CacheOutcome.MISS,
            attempts=trail.attempts,
            billed_units=result.billed_units,
            queue_ms=trail.queue_ms,
            provider_ms=trail.provider_ms,
            raw_response=result.raw_response,
        )

    async def _call_for_regions(self, job: _Job, header: ImageHeader, candidate: Candidate) -> ProviderResult:
        """One call a region, merged to one page."""
        if job.spec.include_raw_response and len(job.request.regions) > 1:
            raise FieldInvalid("recognition.include_raw_response", "several regions have no one raw response")
        parts: list[tuple[Page, float, float]] = []
        billed_units = 0.0
        raw_response = b""
        regions = [whole_pixels(region) for region in job.request.regions]
        crops = await asyncio.get_running_loop().run_in_executor(self._cropping, crop_pngs, job.content, regions)
        for region, crop in zip(regions, crops, strict=True):
            result = await _call(candidate, _provider_call(crop, read_header(crop), job.spec))
            billed_units += result.billed_units
            raw_response = result.raw_response
            parts.append((result.page, region.x, region.y))
        return ProviderResult(merge_regions(parts, header.width, header.height), billed_units, raw_response)


def _reason_to_pass_over(error: ExpectedError) -> str | None:
    """Why the route's next provider may read what this one does not, by the error contract; None: it may not."""
    match error:
        case ProviderNotConfigured():
            return "PROVIDER_NOT_CONFIGURED"
        case ProviderUnavailable():
            return "PROVIDER_UNAVAILABLE"
        case FieldInvalid(field="recognition.languages"):
            return "FIELD_INVALID"
        case _:
            return None


def _coalesced(recognition: Recognition) -> Recognition:
    """What a waiter gets that did not begin the call: it cost nothing more."""
    return replace(
        recognition, cache=CacheOutcome.COALESCED, attempts=0, billed_units=0.0, queue_ms=0.0, provider_ms=0.0
    )


def _key(request: PageRequest, spec: RecognitionSpec, digest: bytes, candidate: Candidate) -> str:
    return cache_key(
        KeyParts(
            content_digest=digest,
            preprocessing=request.preprocessing,
            provider=candidate.provider.description.name,
            model=candidate.provider.status.model,
            adapter_version=candidate.provider.description.adapter_version,
            features=spec.features,
            schema_version=SCHEMA_VERSION,
            languages=spec.languages,
            options=spec.options,
            regions=request.regions,
            raw_response=spec.include_raw_response,
        )
    )


def _check_fit(content: bytes, header: ImageHeader, candidate: Candidate) -> None:
    limits = candidate.support.limits
    if limits.media_types and header.media_type not in limits.media_types:
        raise FormatUnsupported(header.media_type, limits.media_types)
    if limits.max_bytes and len(content) > limits.max_bytes:
        raise ImageTooLargeBytes(value=len(content), limit=limits.max_bytes)
    pixels, longer, shorter = header.width * header.height, *sorted((header.width, header.height), reverse=True)
    if limits.max_pixels and pixels > limits.max_pixels:
        raise ImageTooLargePixels(value=pixels, limit=limits.max_pixels)
    if limits.max_side_px and longer > limits.max_side_px:
        raise ImageSideTooLong(value=longer, limit=limits.max_side_px)
    if shorter < limits.min_side_px:
        raise ImageShapeUnsupported(f"its shorter side has {shorter} px, {limits.min_side_px} are needed")
    if limits.max_aspect and longer / shorter > limits.max_aspect:
        raise ImageShapeUnsupported(f"it is {longer / shorter:.0f} times as long as wide, not {limits.max_aspect:g}")


def _provider_call(image: bytes, header: ImageHeader, spec: RecognitionSpec) -> ProviderCall:
    return ProviderCall(
        image=image,
        media_type=header.media_type,
        width=header.width,
        height=header.height,
        features=spec.features,
        languages=spec.languages,
        options=spec.options,
        include_raw_response=spec.include_raw_response,
    )


async def _call(candidate: Candidate, call: ProviderCall) -> ProviderResult:
    """One call. Whatever a provider raises comes out as an ``Exception``, so that an item always gets its answer."""
    try:
        return await candidate.provider.recognize(call)
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise RuntimeError("a provider cancelled itself") from error
    except TimeoutError as error:
        raise RuntimeError("a provider let its own time-out escape") from error  # else it would be taken for ours
    except Exception:
        raise
    except BaseException as error:
        raise RuntimeError(f"a provider raised {type(error).__name__}") from error


async def _off_loop(look: Callable[[bytes], ResultT], content: bytes) -> ResultT:
    """What ``look`` makes of the content, on a thread where that takes more than about a millisecond."""
    return look(content) if len(content) < LARGE_BYTES else await asyncio.to_thread(look, content)


def _recalled(entry: CacheEntry, outcome: CacheOutcome) -> Recognition:
    return Recognition(
        document=entry.document,
        provider=entry.provider,
        model=entry.model,
        cache=outcome,
        raw_response=entry.raw_response,
    )


def _entry(recognition: Recognition) -> CacheEntry:
    return CacheEntry(
        document=recognition.document,
        provider=recognition.provider,
        model=recognition.model,
        raw_response=recognition.raw_response,
    )
