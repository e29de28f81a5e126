"""The errors of the client, each with a stable code and reason for programs and a sentence for people."""

from __future__ import annotations

from collections.abc import Mapping

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

ERROR_DOMAIN = "ocrmux"
SOURCE_UNREADABLE = "SOURCE_UNREADABLE"
CONNECTION_LOST = "CONNECTION_LOST"
PROTOCOL_BROKEN = "PROTOCOL_BROKEN"
SEND_ELSEWHERE = frozenset({"DRAINING", "SERVER_BUSY"})
"""Reasons of a server that has no room for an item, or no more."""

_STATUS_DETAILS_KEY = "grpc-status-details-bin"
_CODE_BY_NUMBER: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


class OcrMuxError(Exception):
    """A call or an item failed.

    ``code`` is the gRPC code; ``reason`` is the stable reason of the contract, or empty where the failure came from
    below the services (no connection, a proxy); ``metadata`` has figures by name; ``retry_after_s`` (seconds) says when
    the server wants to be asked again, or None. ``details`` is the google.rpc.Status whole, with what else the server
    told, such as BadRequest or QuotaFailure.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        reason: str,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        retry_after_s: float | None = None,
        details: status_pb2.Status | None = None,
    ) -> None:
        self.code = code
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata or {})
        self.retry_after_s = retry_after_s
        self.details = details if details is not None else item_status(code, reason, message, metadata)
        super().__init__(f"{code.name}{f' {reason}' if reason else ''}: {message}")

    @property
    def is_passing(self) -> bool:
        """Whether the same call may succeed later: its connection was lost, or the server had no room for it.

        INTERNAL without a reason is what gRPC and proxies say of broken connections; CANCELLED a server that stopped.
        """
        if self.code is grpc.StatusCode.INTERNAL:
            return not self.reason
        lost = self.code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
        return lost or self.reason in SEND_ELSEWHERE

    @classmethod
    def from_status(cls, status: status_pb2.Status) -> OcrMuxError:
        """The error that a google.rpc.Status tells; details that are unknown or damaged are left out."""
        reason, metadata, retry_after_s = "", {}, None
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        for detail in status.details:
            if _is_unpacked(detail, info) and info.domain == ERROR_DOMAIN:
                reason, metadata = info.reason, dict(info.metadata)
            elif _is_unpacked(detail, retry):
                retry_after_s = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
        code = _CODE_BY_NUMBER.get(status.code, grpc.StatusCode.UNKNOWN)
        return cls(code, reason, status.message, metadata=metadata, retry_after_s=retry_after_s, details=status)

    @classmethod
    def from_rpc_error(cls, error: grpc.aio.AioRpcError) -> OcrMuxError:
        """The error that ended a call, with the details that the server sent in its trailers."""
        for key, value in error.trailing_metadata() or ():
            if key == _STATUS_DETAILS_KEY and isinstance(value, bytes):
                status = status_pb2.Status()
                try:
                    status.ParseFromString(value)
                except DecodeError:
                    break  # a proxy's own trailer: the call's code and words below still tell the failure
                if status.code == error.code().value[0]:
                    return cls.from_status(status)
        return cls(error.code(), "", error.details() or "the server gave no message")


def client_closed() -> OcrMuxError:
    """What became of a call whose client was closed meanwhile, or before."""
    return OcrMuxError(grpc.StatusCode.CANCELLED, "", "the client was closed")


class ServicesNotRunning(Exception):
    """The pair of services could not be started, or one of them died. The message ends with its last log lines."""


class UsageProblem(Exception):
    """What was asked for cannot be started as it was asked; the message is one line for a person."""


def item_status(
    code: grpc.StatusCode, reason: str, message: str, metadata: Mapping[str, str] | None = None
) -> status_pb2.Status:
    """A Status that the client itself makes, with ErrorInfo where there is a reason."""
    number: int = code.value[0]
    if not reason:
        return status_pb2.Status(code=number, message=message)
    packed = any_pb2.Any()
    packed.Pack(error_details_pb2.ErrorInfo(reason=reason, domain=ERROR_DOMAIN, metadata=dict(metadata or {})))
    return status_pb2.Status(code=number, message=message, details=[packed])


def _is_unpacked(detail: any_pb2.Any, into: Message) -> bool:
    try:
        return detail.Unpack(into)
    except DecodeError:
        return False
