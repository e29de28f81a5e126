"""Faults: what an error becomes for the caller."""

from __future__ import annotations

import grpc
from google.rpc import error_details_pb2, status_pb2

from rpc_runtime.expected_error import ExpectedError
from rpc_runtime.faults import FaultRow, FaultTable, StatusError


class _Full(ExpectedError):
    field = "item.image"
    retry_after_s = 1.25
    quota_subject = "tenant:a"

    @property
    def metadata(self) -> dict[str, str]:
        return {"limit": "7"}


class _Unlisted(ExpectedError):
    pass


TABLE = FaultTable({_Full: FaultRow(grpc.StatusCode.RESOURCE_EXHAUSTED, "TENANT_QUOTA")})


def test_an_expected_error_carries_its_details() -> None:
    """Code, reason, domain, metadata, field, retry delay and quota come out as AIP-193 details."""
    status = TABLE.status_of(_Full("full"))
    info, bad, retry, quota = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.BadRequest(),
        error_details_pb2.RetryInfo(),
        error_details_pb2.QuotaFailure(),
    )
    for detail, message in zip(status.details, (info, bad, retry, quota), strict=True):
        assert detail.Unpack(message)
    assert (status.code, status.message) == (8, "full")
    assert (info.reason, info.domain, dict(info.metadata)) == ("TENANT_QUOTA", "ocrmux", {"limit": "7"})
    assert bad.field_violations[0].field == "item.image"
    assert retry.retry_delay.ToTimedelta().total_seconds() == 1.25
    assert quota.violations[0].subject == "tenant:a"


def test_a_bug_is_opaque() -> None:
    """An error that nobody expected shows the caller an id and none of its words."""
    for error in (ValueError("secret"), _Unlisted("secret")):
        status = TABLE.status_of(error)
        assert status.code == grpc.StatusCode.INTERNAL.value[0]
        assert "secret" not in str(status)
        info = error_details_pb2.ErrorInfo()
        assert status.details[0].Unpack(info)
        assert info.metadata["error_id"] in status.message


def test_an_error_that_fits_into_no_status_is_a_bug() -> None:
    """Half a character, as of a file's own text, cannot be sent: the caller gets an opaque INTERNAL instead."""
    status = TABLE.status_of(_Full("\ud800"))
    assert status.code == grpc.StatusCode.INTERNAL.value[0]
    assert status.SerializeToString()


def test_a_finished_status_passes_through() -> None:
    """A status that another service gave reaches the caller unchanged."""
    status = status_pb2.Status(code=5, message="not here")
    assert TABLE.status_of(StatusError(status)) is status
