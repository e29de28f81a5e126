"""Between the protos and the gateway's vocabulary."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from google.rpc import status_pb2

from ocr_gateway.answer_codec import page_answer_bytes
from ocr_gateway.errors import FieldInvalid
from ocr_gateway.model import (
    CacheOutcome,
    CachePolicy,
    Caller,
    Fallback,
    Feature,
    IdDocument,
    Priority,
    Recognition,
    RecognitionSpec,
    Rect,
    Trail,
)
from ocrmux.gateway.v1 import gateway_pb2
from ocrmux.ocr.v1 import image_pb2, recognition_pb2
from rpc_runtime.stream_messages import Announcement

_FEATURES = {
    recognition_pb2.FEATURE_UNSPECIFIED: Feature.TEXT,
    recognition_pb2.FEATURE_TEXT: Feature.TEXT,
    recognition_pb2.FEATURE_TABLE: Feature.TABLE,
    recognition_pb2.FEATURE_ID_DOCUMENT: Feature.ID_DOCUMENT,
}
_ID_DOCUMENTS: dict[int, IdDocument | None] = {
    recognition_pb2.ID_DOCUMENT_UNSPECIFIED: None,
    recognition_pb2.ID_DOCUMENT_IDENTITY_CARD: IdDocument.IDENTITY_CARD,
    recognition_pb2.ID_DOCUMENT_BUSINESS_LICENCE: IdDocument.BUSINESS_LICENCE,
    recognition_pb2.ID_DOCUMENT_BANK_CARD: IdDocument.BANK_CARD,
    recognition_pb2.ID_DOCUMENT_PASSPORT: IdDocument.PASSPORT,
}
_POLICIES = {
    recognition_pb2.CACHE_POLICY_UNSPECIFIED: CachePolicy.USE,
    recognition_pb2.CACHE_POLICY_USE: CachePolicy.USE,
    recognition_pb2.CACHE_POLICY_REFRESH: CachePolicy.REFRESH,
    recognition_pb2.CACHE_POLICY_BYPASS: CachePolicy.BYPASS,
}
_PRIORITIES = {
    recognition_pb2.PRIORITY_UNSPECIFIED: Priority.NORMAL,
    recognition_pb2.PRIORITY_LOW: Priority.LOW,
    recognition_pb2.PRIORITY_NORMAL: Priority.NORMAL,
    recognition_pb2.PRIORITY_HIGH: Priority.HIGH,
}
_OUTCOMES = {
    CacheOutcome.MISS: recognition_pb2.CACHE_OUTCOME_MISS,
    CacheOutcome.MEMORY: recognition_pb2.CACHE_OUTCOME_MEMORY,
    CacheOutcome.STORE: recognition_pb2.CACHE_OUTCOME_STORE,
    CacheOutcome.COALESCED: recognition_pb2.CACHE_OUTCOME_COALESCED,
}
_DOUBLE = struct.Struct("<d")
SHA256_BYTES = 32
MAX_LANGUAGES = 64
MAX_OPTIONS = 64
MAX_REGIONS = 256
MAX_TEXT_LENGTH = 1024
TENANT_KEY = "ocrmux-tenant"
"""Of a call's metadata: whose turn its items take."""
_TENANT = re.compile(r"[A-Za-z0-9._-]{1,64}")


def caller_of(metadata: Iterable[tuple[str, str | bytes]], source: str) -> Caller:
    """Whose call it is, by its metadata. Raises FieldInvalid for a tenant that is no plain name, or several."""
    tenants = [value for key, value in metadata if key == TENANT_KEY]
    if not tenants:
        return Caller(source=source)
    tenant = tenants[0]
    if len(tenants) > 1 or not isinstance(tenant, str) or not _TENANT.fullmatch(tenant):
        raise FieldInvalid(f"metadata.{TENANT_KEY}", "a tenant is one name of 1 to 64 letters, digits and any of . _ -")
    return Caller(tenant, source)


def spec_of(
    config: recognition_pb2.RecognitionConfig, caller: Caller, *, default_timeout_s: float, max_timeout_s: float
) -> RecognitionSpec:
    """How items are to be read. Raises FieldInvalid for a value that has no meaning."""
    _check_bounds(config)
    timeout_s = default_timeout_s
    if config.HasField("item_timeout"):
        timeout_s = min(config.item_timeout.seconds + config.item_timeout.nanos / 1e9, max_timeout_s)
        if timeout_s <= 0:
            raise FieldInvalid("recognition.item_timeout", "an item's time is above zero")
    return RecognitionSpec(
        features=frozenset(_feature(number) for number in config.features) or frozenset({Feature.TEXT}),
        provider=config.provider or None,
        route=config.route or None,
        languages=tuple(config.languages),
        options=dict(config.provider_options),
        cache_policy=_policy(config.cache_policy),
        include_raw_response=config.include_raw_response,
        document=_id_document(config.id_document),
        timeout_s=timeout_s,
        priority=_priority(config.priority),
        caller=caller,
    )


def _check_bounds(config: recognition_pb2.RecognitionConfig) -> None:
    """Refuses a config of more than a sane number of things, before any of them is looked at."""
    for name, count, most in (
        ("features", len(config.features), len(Feature)),
        ("languages", len(config.languages), MAX_LANGUAGES),
        ("provider_options", len(config.provider_options), MAX_OPTIONS),
    ):
        if count > most:
            raise FieldInvalid(f"recognition.{name}", f"{count} {name} are given, {most} are allowed")
    for name, texts in (
        ("provider", (config.provider, config.route)),
        ("languages", tuple(config.languages)),
        ("provider_options", (*config.provider_options.keys(), *config.provider_options.values())),
    ):
        if any(len(text) > MAX_TEXT_LENGTH for text in texts):
            raise FieldInvalid(f"recognition.{name}", f"a text of more than {MAX_TEXT_LENGTH} characters")


def _feature(number: int) -> Feature:
    for known, feature in _FEATURES.items():
        if known == number:
            return feature
    raise FieldInvalid("recognition.features", f"there is no feature of the number {number}")


def _id_document(number: int) -> IdDocument | None:
    if number not in _ID_DOCUMENTS:
        raise FieldInvalid("recognition.id_document", f"there is no identity document of the number {number}")
    return _ID_DOCUMENTS[number]


def _policy(number: int) -> CachePolicy:
    for known, policy in _POLICIES.items():
        if known == number:
            return policy
    raise FieldInvalid("recognition.cache_policy", f"there is no cache policy of the number {number}")


def _priority(number: int) -> Priority:
    for known, priority in _PRIORITIES.items():
        if known == number:
            return priority
    raise FieldInvalid("recognition.priority", f"there is no priority of the number {number}")


@dataclass(frozen=True, slots=True)
class PageSpec:
    """What is said of an item besides its image: regions, and the preprocessing that it has been through."""

    regions: tuple[Rect, ...] = ()
    preprocessing: str = ""


_NOTHING_SAID = PageSpec()


def announcement_of(item: gateway_pb2.GatewayItem) -> Announcement[PageSpec]:
    """An item as it arrives."""
    spec = _NOTHING_SAID
    if item.preprocessing or item.regions:
        refusal = _spec_refusal(item)
        if refusal is not None:
            return Announcement(item.request_id, spec, content=b"", refusal=refusal)
        spec = PageSpec(tuple(Rect(r.x, r.y, r.width, r.height) for r in item.regions), item.preprocessing)
    image = item.image
    match image.WhichOneof("source"):
        case "content":
            return Announcement(item.request_id, spec, content=image.content)
        case "digest":
            digest = image.digest
            return Announcement(item.request_id, spec, digest=digest.value, refusal=_digest_refusal(digest))
        case "chunked":
            return Announcement(item.request_id, spec, chunked_bytes=image.chunked.total_bytes)
        case _:
            return Announcement(item.request_id, spec)


def _spec_refusal(item: gateway_pb2.GatewayItem) -> FieldInvalid | None:
    if len(item.regions) > MAX_REGIONS:
        return FieldInvalid("item.regions", f"{len(item.regions)} regions are given, {MAX_REGIONS} are allowed")
    if len(item.preprocessing) > MAX_TEXT_LENGTH:
        return FieldInvalid("item.preprocessing", f"a text of more than {MAX_TEXT_LENGTH} characters")
    return None


def _digest_refusal(digest: image_pb2.ContentDigest) -> FieldInvalid | None:
    if digest.algorithm == image_pb2.DIGEST_ALGORITHM_SHA256 and len(digest.value) == SHA256_BYTES:
        return None
    return FieldInvalid("item.image.digest", f"a digest is a SHA-256 of {SHA256_BYTES} bytes, with its algorithm said")


def page_answer(request_id: str, recognition: Recognition, *, total_ms: float) -> bytes:
    """The answer of an item that was read, an encoded PageAnswer: it has one page."""
    if recognition.cache is CacheOutcome.MEMORY and not _says_more(recognition):
        rest = _recalled_start(recognition.provider, recognition.model) + _DOUBLE.pack(total_ms)
        return page_answer_bytes(request_id, recognition.document, rest)
    rest = recognition_pb2.PageAnswer(
        page=1,
        last_page=True,
        page_count=1,
        provenance=recognition_pb2.Provenance(
            provider=recognition.provider,
            model=recognition.model,
            cache=_OUTCOMES[recognition.cache],
            attempts=recognition.attempts,
            fallbacks=_fallbacks(recognition.fallbacks),
            billed_units=recognition.billed_units,
            cost=recognition.cost,
            currency=recognition.currency,
            timings=recognition_pb2.Timings(
                queue_ms=recognition.queue_ms,
                rate_limit_ms=recognition.rate_limit_ms,
                provider_ms=recognition.provider_ms,
                total_ms=total_ms,
            ),
        ),
        raw_response=recognition.raw_response,
    ).SerializeToString()
    return page_answer_bytes(request_id, recognition.document, rest)


def _says_more(of: Recognition) -> bool:
    """Whether there is more to say of it than where it came from."""
    return bool(
        of.attempts
        or of.fallbacks
        or of.raw_response
        or of.queue_ms
        or of.rate_limit_ms
        or of.provider_ms
        or of.billed_units
        or of.cost
        or of.currency
    )


@lru_cache(maxsize=256)
def _recalled_start(provider: str, model: str) -> bytes:
    """What is the same in all answers from memory but for their id and document, up to the 8 bytes of ``total_ms``.

    The last field of an encoded message is the one of the highest number: of a PageAnswer its provenance, of that its
    timings, of those their total.
    """
    rest = recognition_pb2.PageAnswer(
        page=1,
        last_page=True,
        page_count=1,
        provenance=recognition_pb2.Provenance(
            provider=provider,
            model=model,
            cache=recognition_pb2.CACHE_OUTCOME_MEMORY,
            timings=recognition_pb2.Timings(total_ms=1.0),
        ),
    ).SerializeToString()
    start, total_ms = rest[: -_DOUBLE.size], rest[-_DOUBLE.size :]
    if total_ms != _DOUBLE.pack(1.0):
        raise AssertionError("an encoded PageAnswer does not end with the total of its timings")
    return start


def failed_answer(
    request_id: str, status: status_pb2.Status, trail: Trail | None = None, *, total_ms: float = 0.0
) -> bytes:
    """The answer of an item that failed, an encoded PageAnswer with what had been tried."""
    answer = recognition_pb2.PageAnswer(request_id=request_id, page=1, last_page=True, page_count=1, error=status)
    if trail is not None:
        answer.provenance.CopyFrom(
            recognition_pb2.Provenance(
                provider=trail.provider,
                model=trail.model,
                attempts=trail.attempts,
                fallbacks=_fallbacks(trail.fallbacks),
                billed_units=trail.billed_units,
                cost=trail.cost,
                currency=trail.currency,
                timings=recognition_pb2.Timings(
                    queue_ms=trail.queue_ms,
                    rate_limit_ms=trail.rate_limit_ms,
                    provider_ms=trail.provider_ms,
                    total_ms=total_ms,
                ),
            )
        )
    return answer.SerializeToString()


def _fallbacks(fallbacks: Iterable[Fallback]) -> list[recognition_pb2.Fallback]:
    return [recognition_pb2.Fallback(provider=each.provider, reason=each.reason) for each in fallbacks]
