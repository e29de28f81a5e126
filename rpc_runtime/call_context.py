"""Facts about the call in progress, for the one access-log line and for whatever is logged on its way."""

from __future__ import annotations

import uuid
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(slots=True)
class CallFacts:
    """One call. ``caller`` is the name of the key that it was let in by, empty where none is asked for. ``items`` and
    ``failed_items`` are counted by streams.
    """

    method: str
    peer: str = ""
    caller: str = ""
    call_id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    items: int = 0
    failed_items: int = 0


_current: ContextVar[CallFacts | None] = ContextVar("rpc_runtime_call", default=None)
_caller: ContextVar[str] = ContextVar("rpc_runtime_caller", default="")


def current_call() -> CallFacts:
    """The call in progress in this task, or facts that nobody reads outside of one."""
    return _current.get() or CallFacts(method="")


def set_current_call(facts: CallFacts) -> None:
    """Makes ``facts`` those of this task and of the tasks that it starts."""
    _current.set(facts)


def current_caller() -> str:
    """The name of the key that the call in progress in this task was let in by; empty where none is asked for."""
    return _caller.get()


def set_caller(name: str) -> None:
    """Makes ``name`` that of the call of this task. The facts do not exist yet when callers are let in."""
    _caller.set(name)
