"""Whether an item can be accepted, on a stream and in a unary call alike."""

from __future__ import annotations

from typing import Protocol, TypeVar

from rpc_runtime.expected_error import ExpectedError
from rpc_runtime.protocol_errors import ChunksInUnaryCall, PayloadMissing, RequestIdInvalid
from rpc_runtime.stream_messages import Announcement, Item, StreamLimits

MAX_REQUEST_ID_LENGTH = 128

SpecT = TypeVar("SpecT")


class SizeRule(Protocol):
    """A service's error for what is too large."""

    def too_large(self, *, value: int, limit: int) -> ExpectedError:
        """The error for an item of ``value`` bytes where ``limit`` are allowed."""
        ...


def payload_refusal(announced: Announcement[SpecT], limits: StreamLimits, rule: SizeRule) -> ExpectedError | None:
    """What is wrong with the item's payload, or None."""
    if announced.refusal is not None:
        return announced.refusal
    if not announced.has_payload:
        return PayloadMissing()
    if announced.size > limits.max_item_bytes:
        return rule.too_large(value=announced.size, limit=limits.max_item_bytes)
    return None


def unary_item(announced: Announcement[SpecT], limits: StreamLimits, rule: SizeRule) -> Item[SpecT]:
    """The item of a unary call, whose id may be empty. Raises what is wrong with it."""
    if len(announced.request_id) > MAX_REQUEST_ID_LENGTH:
        raise RequestIdInvalid(len(announced.request_id), MAX_REQUEST_ID_LENGTH)
    if announced.chunked_bytes is not None:
        raise ChunksInUnaryCall
    refusal = payload_refusal(announced, limits, rule)
    if refusal is not None:
        raise refusal
    return Item(announced.request_id, announced.spec, announced.content, announced.digest)
