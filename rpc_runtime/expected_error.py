"""What errors derive from that callers can cause. Nothing of gRPC: processes that never speak it load it too."""

from __future__ import annotations


class ExpectedError(Exception):
    """An error that a caller can cause or must reckon with. Carries data, not only words.

    ``metadata`` goes into ``ErrorInfo``; ``field`` and the message go into ``BadRequest``; ``retry_after_s`` (seconds)
    goes into ``RetryInfo``; ``quota_subject`` and the message go into ``QuotaFailure``.
    """

    field: str | None = None
    retry_after_s: float | None = None
    quota_subject: str | None = None
    frees_request_id: bool = False
    """Whether the caller may send an item under the same id again on the same stream."""

    @property
    def metadata(self) -> dict[str, str]:
        """Figures for programs, by name: limits, values, names. Empty unless a subclass says otherwise."""
        return {}
