"""What goes in and out of an item stream, whatever the items are, and the two parts that a service supplies."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from rpc_runtime.expected_error import ExpectedError
from rpc_runtime.protocol_errors import MessageUnexpected

RequestT_contra = TypeVar("RequestT_contra", contravariant=True)
AnswerT_co = TypeVar("AnswerT_co", covariant=True)
AnswerT = TypeVar("AnswerT")
ConfigT = TypeVar("ConfigT")
SpecT = TypeVar("SpecT")
MessageT = TypeVar("MessageT")

MAX_BATCH_ITEMS = 1024

# Announcement, Item and Answer are values like the others, and are not frozen for one reason alone: one of each is made
# for every item, and a frozen one takes three times as long to make.


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """What a server holds for one stream: items and bytes in flight, bytes of an item, bytes of a request message."""

    max_items: int
    max_bytes: int
    max_item_bytes: int
    max_message_bytes: int


@dataclass(frozen=True, slots=True)
class Opening(Generic[ConfigT]):
    """The stream's config, its first request."""

    config: ConfigT


@dataclass(slots=True)
class Announcement(Generic[SpecT]):
    """An item as it arrives; of ``content``, ``digest`` and ``chunked_bytes`` one is set, or none by mistake.

    ``refusal`` is what is wrong with it by the service's own rules.
    """

    request_id: str
    spec: SpecT
    content: bytes | None = None
    digest: bytes | None = None
    chunked_bytes: int | None = None
    refusal: ExpectedError | None = None

    @property
    def follows_in_chunks(self) -> bool:
        """Whether its content is still to come."""
        return bool(self.chunked_bytes)

    @property
    def whole_content(self) -> bytes | None:
        """Its content where that is here: nothing, for an announcement of 0 bytes."""
        return b"" if self.chunked_bytes == 0 else self.content

    @property
    def size(self) -> int:
        """Bytes of the item's content, here or still to come."""
        return self.chunked_bytes or len(self.content or b"")

    @property
    def has_payload(self) -> bool:
        """Whether it says in any way what is to be read."""
        return not (self.content is None and self.digest is None and self.chunked_bytes is None)


@dataclass(frozen=True, slots=True)
class Batch(Generic[SpecT]):
    """Items that came in one request, as if each had come by itself."""

    announcements: tuple[Announcement[SpecT], ...]


def batch_of(messages: Sequence[MessageT], announce: Callable[[MessageT], Announcement[SpecT]]) -> Batch[SpecT]:
    """The batch of these messages. Raises MessageUnexpected for too many, before any is looked at."""
    if len(messages) > MAX_BATCH_ITEMS:
        raise MessageUnexpected(f"a batch has at most {MAX_BATCH_ITEMS} items, not {len(messages)}")
    return Batch(tuple(map(announce, messages)))


@dataclass(frozen=True, slots=True)
class Chunk:
    """The next bytes of the announced item."""

    request_id: str
    data: bytes


@dataclass(slots=True)
class Item(Generic[SpecT]):
    """An item that was accepted. ``content`` is None when only a digest was sent."""

    request_id: str
    spec: SpecT
    content: bytes | None = None
    digest: bytes | None = None


@dataclass(slots=True)
class Answer(Generic[AnswerT]):
    """One answer to an item: messages that go out one after the other. Each item gets one with ``last`` set, and none
    after it.

    ``frees_id`` lets the caller send an item under the same id again. ``failed`` is for the access log. ``size`` is the
    messages' bytes, nearly; it matters only where answers are batched.
    """

    messages: tuple[AnswerT, ...]
    last: bool = True
    frees_id: bool = False
    failed: bool = False
    size: int = 0


def failure_answer(message: AnswerT, error: BaseException) -> Answer[AnswerT]:
    """The last answer of an item that failed."""
    return Answer((message,), frees_id=isinstance(error, ExpectedError) and error.frees_request_id, failed=True)


class StreamDialect(Protocol[RequestT_contra, AnswerT_co, ConfigT, SpecT]):
    """Translates one RPC's messages."""

    def read(self, request: RequestT_contra) -> Opening[ConfigT] | Announcement[SpecT] | Batch[SpecT] | Chunk | None:
        """What a request is, or None when it is of no known kind."""
        ...

    def limits(self, limits: StreamLimits) -> AnswerT_co:
        """The first answer."""
        ...

    def failure(self, request_id: str, error: BaseException) -> AnswerT_co:
        """The last answer of an item that failed."""
        ...

    def too_large(self, *, value: int, limit: int) -> ExpectedError:
        """The error for an item of ``value`` bytes where ``limit`` are allowed."""
        ...


class Session(Protocol[AnswerT, SpecT]):
    """What a config opens: the work on the stream's items."""

    @property
    def ordered(self) -> bool:
        """Whether answers come in the order of the items."""
        ...

    @property
    def together(self) -> Callable[[Sequence[AnswerT]], AnswerT] | None:
        """Makes one message of several answers that are ready, where the caller takes that; else None."""
        ...

    @property
    def item_timeout_s(self) -> float:
        """Bounds the time from an item's announcement to its last chunk."""
        ...

    @property
    def answer_now(self) -> Callable[[Item[SpecT]], Answer[AnswerT] | Item[SpecT]] | None:
        """Asked before ``handle``, where it is given: the item's one and last answer when that is at hand, else the
        item, with what was found out about it on the way. Takes a millisecond at most. What it raises is answered as
        what ``handle`` raises is.
        """
        ...

    def handle(self, item: Item[SpecT]) -> AsyncGenerator[Answer[AnswerT], None]:
        """Answers one item. What it raises becomes the item's last answer. Closed early when the caller is gone."""
        ...

    async def aclose(self) -> None:
        """Gives back what the config opened. Called once, after the last item."""
        ...
