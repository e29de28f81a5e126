"""Errors as callers see them: a gRPC code, a stable reason, and the details of AIP-193.

Expected errors are domain types derived from ``ExpectedError``; each service maps them to a code and a reason in its
one ``fault_table``. Anything else is a bug and becomes an opaque ``INTERNAL`` with an id that stands in the log.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

import grpc
import structlog
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from rpc_runtime.expected_error import ExpectedError

ERROR_DOMAIN = "ocrmux"
MAX_TEXT_LENGTH = 300

_log = structlog.get_logger("rpc_runtime.faults")


@dataclass(frozen=True, slots=True)
class Fault:
    """One error, ready to be sent as an item's Status or as a call's status."""

    code: grpc.StatusCode
    reason: str
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    field: str | None = None
    retry_after_s: float | None = None
    quota_subject: str | None = None

    def to_status(self) -> status_pb2.Status:
        """The google.rpc.Status with ErrorInfo and, where they apply, BadRequest, RetryInfo and QuotaFailure."""
        code: int = self.code.value[0]
        message = _cut(self.message)
        status = status_pb2.Status(code=code, message=message)
        metadata = {key: _cut(value) for key, value in self.metadata.items()}
        _attach(status, error_details_pb2.ErrorInfo(reason=self.reason, domain=ERROR_DOMAIN, metadata=metadata))
        if self.field is not None:
            violation = error_details_pb2.BadRequest.FieldViolation(field=self.field, description=message)
            _attach(status, error_details_pb2.BadRequest(field_violations=[violation]))
        if self.retry_after_s is not None:
            delay = duration_pb2.Duration()
            delay.FromNanoseconds(round(self.retry_after_s * 1e9))
            _attach(status, error_details_pb2.RetryInfo(retry_delay=delay))
        if self.quota_subject is not None:
            quota = error_details_pb2.QuotaFailure.Violation(subject=self.quota_subject, description=message)
            _attach(status, error_details_pb2.QuotaFailure(violations=[quota]))
        return status


class StatusError(Exception):
    """Carries a finished status, such as one that another service gave, to whoever answers the caller."""

    def __init__(self, status: status_pb2.Status) -> None:
        super().__init__(status.message)
        self.status = status


@dataclass(frozen=True, slots=True)
class FaultRow:
    """What one error type becomes."""

    code: grpc.StatusCode
    reason: str


class FaultTable:
    """Maps error types to codes and reasons. Exact types only, so that each type stands in the table once."""

    def __init__(self, rows: Mapping[type[ExpectedError], FaultRow]) -> None:
        self.rows = dict(rows)

    def status_of(self, error: BaseException) -> status_pb2.Status:
        """The status for ``error``. One of an unknown type, or whose data fit into no status, is logged with its trace
        and becomes an opaque INTERNAL.
        """
        if isinstance(error, StatusError):
            return error.status
        try:
            return self.fault_of(error).to_status()
        except Exception as bug:
            return internal_fault(bug).to_status()

    def fault_of(self, error: BaseException) -> Fault:
        """The fault for an error of the table; for any other, INTERNAL."""
        row = self.rows.get(type(error)) if isinstance(error, ExpectedError) else None
        if row is None or not isinstance(error, ExpectedError):
            return internal_fault(error)
        return Fault(
            code=row.code,
            reason=row.reason,
            message=str(error),
            metadata=error.metadata,
            field=error.field,
            retry_after_s=error.retry_after_s,
            quota_subject=error.quota_subject,
        )


def internal_fault(error: BaseException) -> Fault:
    """Logs a bug under a fresh id and gives the fault that shows the caller only that id."""
    error_id = uuid.uuid4().hex[:12]
    _log.error("rpc.bug", error_id=error_id, exc_info=(type(error), error, error.__traceback__))
    return Fault(
        code=grpc.StatusCode.INTERNAL,
        reason="INTERNAL",
        message=f"internal error {error_id}; the server's log has the details under this id",
        metadata={"error_id": error_id},
    )


def _cut(text: str) -> str:
    """The text, cut to what may stand in a status: callers' strings are quoted in it, and trailers have 8 KB in all."""
    return text if len(text) <= MAX_TEXT_LENGTH else f"{text[: MAX_TEXT_LENGTH - 1]}…"


def _attach(
    status: status_pb2.Status,
    detail: error_details_pb2.ErrorInfo
    | error_details_pb2.BadRequest
    | error_details_pb2.RetryInfo
    | error_details_pb2.QuotaFailure,
) -> None:
    packed = any_pb2.Any()
    packed.Pack(detail)
    status.details.append(packed)
