"""What makes a stand-in one of a certain vendor: its addresses, what it verifies, and the shapes of its answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.fakes.standin.settings import StandInSettings

KINDS = (
    "throttled",
    "transient",
    "day_spent",
    "quota_spent",
    "token_invalid",
    "token_expired",
    "credentials",
    "not_open",
    "undecodable",
    "too_large",
    "option",
    "not_this_document",
)
"""Kinds of error; ``Vendor.codes`` has the vendor's own code of those that it knows."""


@dataclass(frozen=True, slots=True)
class Head:
    """A request without its body. Names of headers are in small letters; ``query`` is decoded, ``raw_query`` is not."""

    method: str
    path: str
    query: Mapping[str, str]
    raw_query: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for: images as they were sent, decoded, and the options."""

    action: str
    images: tuple[bytes, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. ``content_type`` is as the vendor sends it."""

    said: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


class Denied(Exception):
    """The vendor's error for a request that it does not take: its own code, or one of KINDS."""

    def __init__(self, code: str, message: str = "") -> None:
        self.code = code
        self.message = message
        super().__init__(f"{code} {message}")


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Vendor(ABC):
    """As strict as the vendor's documentation. One instance a process; it may keep nonces, tokens and operations."""

    name: str
    quotas: Mapping[str, int]
    """Every action, with the calls that it takes in a second unless the settings say otherwise."""
    codes: Mapping[str, str]
    """The vendor's code of each kind of error that it knows."""
    paths: Sequence[str]
    """Paths of recognising calls (POST), as aiohttp routes them: ``/rest/{tail:.*}``."""

    @abstractmethod
    def action(self, head: Head) -> str:
        """Which of ``quotas`` a request asks for, by its head alone where it can; else any of them."""

    @abstractmethod
    def admit(self, head: Head, settings: StandInSettings, now: float) -> str:
        """The code by which a request is refused whatever is in it, as for its token; empty for none. ``now``:
        monotonic seconds."""

    @abstractmethod
    def read(self, head: Head, body: bytes, settings: StandInSettings, epoch_s: float) -> Asked:
        """What it asks for. Verifies signature, clock, nonce, limits, formats and options. Raises Denied."""

    @abstractmethod
    def answer(self, asked: Asked, digests: Sequence[str], settings: StandInSettings) -> Reply:
        """A good answer of the documented shape. ``digests`` are the SHA-256 of the images, in hexadecimal; the first
        line of text is ``text_of`` such a digest. ``server.image_error`` says which images of several are refused.
        Raises Denied for what is found out only by reading, and is not billed."""

    @abstractmethod
    def error(self, code: str, message: str) -> Reply:
        """The answer that tells an error of a code of the vendor's."""

    def routes(self, stand_in: Any) -> Sequence[tuple[str, str, Handler]]:
        """More addresses, as for tokens: method, path, handler."""
        return ()

    def polled(self, reply: Reply) -> Any:
        """What a caller is told in the end, of services that are polled after a first answer."""
        return reply.said

    def expire_tokens(self) -> None:  # noqa: B027 - most have none
        """Makes every token expire now."""
