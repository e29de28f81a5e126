"""A lane that is out of use for everybody, for a reason that is not the circuit's: credentials, or a spent quota."""

from __future__ import annotations

from collections.abc import Callable

from ocr_gateway.model import ProviderState
from rpc_runtime.expected_error import ExpectedError

ErrorOf = Callable[[float], ExpectedError]
"""Makes the error that callers get from the seconds that are left."""


class Closure:
    """Open at first. Each caller gets an error of its own: one that is raised again and again grows its traceback."""

    def __init__(self) -> None:
        self._until = 0.0
        self._error_of: ErrorOf | None = None
        self._state = ProviderState.SERVING

    def close(self, until: float, state: ProviderState, error_of: ErrorOf) -> None:
        """Closes it until then."""
        self._until, self._state, self._error_of = until, state, error_of

    def error(self, now: float) -> ExpectedError | None:
        """The error for a caller; None when it is open."""
        if self._error_of is None or now >= self._until:
            return None
        return self._error_of(self._until - now)

    def state(self, now: float) -> ProviderState:
        """SERVING when it is open."""
        return self._state if now < self._until else ProviderState.SERVING
