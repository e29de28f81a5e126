"""What callers can do wrong with a stream or a call whatever it carries, and what each becomes."""

from __future__ import annotations

from collections.abc import Mapping

from grpc import StatusCode

from rpc_runtime.expected_error import ExpectedError
from rpc_runtime.faults import FaultRow


class CallerGone(Exception):
    """An answer could not be written: there is nobody to tell."""


class ProtocolBreach(ExpectedError):
    """Ends the stream: what was accepted is still answered, nothing more is read."""


class ConfigMissing(ProtocolBreach):
    """The first message of a stream was no configuration."""

    field = "config"

    def __init__(self) -> None:
        super().__init__("the first message of the stream must be its config")


class ConfigRepeated(ProtocolBreach):
    """A second configuration."""

    field = "config"

    def __init__(self) -> None:
        super().__init__("a stream takes one config, as its first message; open another stream for another config")


class MessageUnexpected(ProtocolBreach):
    """A chunk for no announced item, a message of no known kind, a batch over its bound, or something else between the
    chunks of an item."""

    def __init__(self, description: str) -> None:
        super().__init__(description)


class DuplicateRequestId(ExpectedError):
    """The stream has an item of this id already; the first one is answered as if nothing had happened."""

    field = "item.request_id"

    def __init__(self, request_id: str) -> None:
        super().__init__(f"the stream has an item {request_id!r} already; this second one was not read")


class RequestIdInvalid(ExpectedError):
    """An item without an id, or with one that is too long."""

    field = "item.request_id"

    def __init__(self, length: int, max_length: int) -> None:
        super().__init__(f"a request_id has 1 to {max_length} characters, this one has {length}")


class PayloadMissing(ExpectedError):
    """An item without content, digest or announced chunks."""

    field = "item.image"

    def __init__(self) -> None:
        super().__init__("the item has neither content nor a digest nor announced chunks")


class ChunksMismatched(ExpectedError):
    """Chunks that add up to more or to less than was announced."""

    field = "chunk.data"

    def __init__(self, announced_bytes: int, received_bytes: int) -> None:
        self.announced_bytes = announced_bytes
        self.received_bytes = received_bytes
        super().__init__(f"{announced_bytes} bytes were announced and {received_bytes} came")

    @property
    def metadata(self) -> dict[str, str]:
        """Both lengths, bytes."""
        return {"announced_bytes": str(self.announced_bytes), "received_bytes": str(self.received_bytes)}


class ChunksInUnaryCall(ExpectedError):
    """A unary call announced chunks."""

    field = "item.image.chunked"

    def __init__(self) -> None:
        super().__init__("chunks are for streams: a unary call takes the content whole")


class ChunksLate(ExpectedError):
    """The chunks of an announced item did not come in time."""

    def __init__(self) -> None:
        super().__init__("the item's chunks did not come in time")


class CallerUnauthenticated(ExpectedError):
    """A call without a token that this server knows. Its message never repeats what was shown."""

    def __init__(self, description: str) -> None:
        super().__init__(description)


class Draining(ExpectedError):
    """The server is stopping and takes nothing new."""

    retry_after_s = 1.0

    def __init__(self) -> None:
        super().__init__("this server is stopping: send the item to another one")


class ServerBusy(ExpectedError):
    """As many calls are being served as the server may hold."""

    retry_after_s = 1.0

    def __init__(self, what: str, limit: int) -> None:
        self.limit = limit
        super().__init__(f"the server is busy: it serves at most {limit} {what} at a time")

    @property
    def metadata(self) -> dict[str, str]:
        """The limit."""
        return {"limit": str(self.limit)}


PROTOCOL_FAULTS: Mapping[type[ExpectedError], FaultRow] = {
    ConfigMissing: FaultRow(StatusCode.INVALID_ARGUMENT, "CONFIG_MISSING"),
    ConfigRepeated: FaultRow(StatusCode.INVALID_ARGUMENT, "CONFIG_REPEATED"),
    MessageUnexpected: FaultRow(StatusCode.INVALID_ARGUMENT, "MESSAGE_UNEXPECTED"),
    DuplicateRequestId: FaultRow(StatusCode.INVALID_ARGUMENT, "DUPLICATE_REQUEST_ID"),
    RequestIdInvalid: FaultRow(StatusCode.INVALID_ARGUMENT, "REQUEST_ID_INVALID"),
    PayloadMissing: FaultRow(StatusCode.INVALID_ARGUMENT, "PAYLOAD_MISSING"),
    ChunksMismatched: FaultRow(StatusCode.INVALID_ARGUMENT, "CHUNKS_MISMATCHED"),
    ChunksInUnaryCall: FaultRow(StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"),
    ChunksLate: FaultRow(StatusCode.DEADLINE_EXCEEDED, "DEADLINE_UNREACHABLE"),
    CallerUnauthenticated: FaultRow(StatusCode.UNAUTHENTICATED, "CALLER_UNAUTHENTICATED"),
    Draining: FaultRow(StatusCode.UNAVAILABLE, "DRAINING"),
    ServerBusy: FaultRow(StatusCode.RESOURCE_EXHAUSTED, "SERVER_BUSY"),
}
"""The rows that every service's fault table begins with."""
