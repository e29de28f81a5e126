"""What the service and its worker processes say to each other, over a stream socket of their own.

A frame is a prefix (two big-endian numbers: the header's length in 4 bytes, the body's in 8), a header in JSON and a
body of raw bytes. A worker has read hostile files and is not trusted: what it says is checked field by field, against
bounds and closed lists, and anything else is a MalformedMessage. The worker trusts the service and unpickles its order.
Of its own answers it brings texts and figures into the bounds, for these quote the file.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from typing import Any, cast

from preprocess_service import errors
from preprocess_service.message_values import (
    MAX_COUNT,
    MAX_ENTRIES,
    MAX_FIGURE,
    MalformedMessage,
    exactly,
    few_of,
    finite_number,
    homography_of,
    image_size,
    is_near,
    kept_near,
    tellable,
    text_of,
    whole_number,
)
from preprocess_service.model import (
    PAGE_MEDIA_TYPES,
    AppliedStep,
    Homography,
    NormalizedPage,
    PageFailure,
    PageMeasures,
    PagePart,
    Point,
    Source,
    SourceLimits,
)
from rpc_runtime.expected_error import ExpectedError

_PREFIX = struct.Struct(">IQ")
PREFIX_BYTES = _PREFIX.size
MAX_HEADER_BYTES = 1024 * 1024
MAX_PAGE_BYTES = 256 * 1024 * 1024
"""All parts of one page together."""

_MAX_TRACE_CHARACTERS = 8_000
_MAX_STEPS = 64

Frame = list[bytes]
"""A frame's pieces, in order; not joined, as images are large."""
Header = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a worker is told first: what files it takes, and what memory a page may cost it, in bytes."""

    limits: SourceLimits
    memory_bytes: int

    @property
    def max_pages(self) -> int:
        """Of one document."""
        return min(self.limits.max_pages, MAX_COUNT)

    @property
    def max_pixels(self) -> int:
        """Of any image: a file's limit, or where steps enlarge a page what memory holds it with a byte for a pixel."""
        return max(self.limits.max_pixels, self.memory_bytes)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Asks for one page of a document, which has a token. ``source`` comes with the first request for it only.

    ``order`` is a pickled PageOrder; the documents of ``closed`` are wanted no more and closed before.
    """

    token: int
    number: int
    order: bytes = field(repr=False)
    source: Source | None = None
    closed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker's first word: it waits for requests."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A document of several pages was opened and its asked page is about to be made. Comes before that page."""

    page_count: int


@dataclass(frozen=True, slots=True)
class WorkerBug:
    """An error that no file should cause; ``trace`` is for the log."""

    trace: str


Answer = Ready | Opened | NormalizedPage | PageFailure | WorkerBug
"""A PageFailure whose ``page_count`` is 0 concerns the document as a whole, or one of a single page."""

_ERROR_FIELDS: Mapping[type[ExpectedError], Mapping[str, type]] = {
    errors.ImageEmpty: {},
    errors.ImageUndecodable: {"detail": str},
    errors.PageBeyondMemory: {"limit_bytes": int},
    errors.PasswordRequired: {"given": bool},
    errors.FormatUnsupported: {"media_type": str, "supported": tuple},
    errors.ImageTooLargeBytes: {"value": int, "limit": int},
    errors.ImageTooLargePixels: {"width": int, "height": int, "limit": int},
    errors.TooManyPages: {"value": int, "limit": int},
    errors.PageOutOfDocument: {"page": int, "page_count": int},
}
"""What a worker may raise, with the arguments that make it again; they are its attributes too."""
_ERRORS_BY_NAME = {error.__name__: error for error in _ERROR_FIELDS}


def crosses(error: ExpectedError) -> bool:
    """Whether the error is one that a worker may answer with."""
    return type(error) in _ERROR_FIELDS


def frame(header: Header, *body: bytes) -> Frame:
    """The frame of a header and a body in pieces."""
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    return [_PREFIX.pack(len(text), sum(map(len, body))) + text, *body]


def frame_lengths(prefix: bytes | memoryview, *, max_body_bytes: int) -> tuple[int, int]:
    """The lengths of the header and of the body. Raises MalformedMessage where one is over its bound."""
    header_bytes, body_bytes = _PREFIX.unpack(prefix)
    if header_bytes > MAX_HEADER_BYTES or body_bytes > max_body_bytes:
        raise MalformedMessage(f"a frame of {header_bytes} + {body_bytes} bytes")
    return header_bytes, body_bytes


def header_of(text: bytes | memoryview) -> Header:
    """The header. Raises MalformedMessage for anything but a JSON object."""
    try:
        header = json.loads(bytes(text))
    except (ValueError, RecursionError) as error:
        raise MalformedMessage("a header that is no JSON") from error
    if not isinstance(header, dict):
        raise MalformedMessage("a header that is no object")
    return header


def terms_frame(terms: Terms) -> Frame:
    """The service's first word."""
    return frame({"limits": asdict(terms.limits), "memory_bytes": terms.memory_bytes})


def terms_of(header: Header) -> Terms:
    """The terms in a header that the service made."""
    return Terms(SourceLimits(**header["limits"]), header["memory_bytes"])


def request_frame(request: PageRequest) -> Frame:
    """The frame of a request."""
    header: Header = {
        "token": request.token,
        "number": request.number,
        "order_bytes": len(request.order),
        "closed": request.closed,
    }
    if request.source is None:
        return frame(header, request.order)
    header["password"] = request.source.password
    return frame(header, request.order, request.source.content)


def closing_frame(tokens: Sequence[int]) -> Frame:
    """Asks for nothing but that the documents are closed; it has no answer."""
    return frame({"closed": list(tokens)})


def request_of(header: Header, order: bytes, content: bytes) -> PageRequest | None:
    """The request in a header that the service made; None for one that only closes."""
    if "token" not in header:
        return None
    source = Source(content, header["password"]) if "password" in header else None
    return PageRequest(header["token"], header["number"], order, source, tuple(header["closed"]))


def answer_frame(answer: Answer, source: bytes = b"") -> Frame:
    """The frame of an answer about the document that came as ``source``: a part that is that very object is named only.

    Raises ImageTooLargeBytes for a page over MAX_PAGE_BYTES.
    """
    match answer:
        case Ready():
            return frame({"ready": True})
        case Opened(page_count):
            return frame({"opened": page_count})
        case WorkerBug(trace):
            return frame({"bug": tellable(trace, _MAX_TRACE_CHARACTERS)})
        case PageFailure(number, page_count, error):
            attributes = {name: tellable(getattr(error, name)) for name in _ERROR_FIELDS[type(error)]}
            told = {"name": type(error).__name__, "attributes": attributes}
            return frame({"number": number, "page_count": page_count, "error": told})
        case NormalizedPage():
            return _page_frame(answer, source)


def answer_of(header: Header, body: memoryview, source: bytes, terms: Terms) -> Answer:
    """The answer in the frame of a worker that has these terms; ``source`` is what the worker was sent, and stands for
    itself in the page.

    Raises MalformedMessage.
    """
    try:
        if "page" in header:
            return _page_of(header["page"], body, source, terms)
        if body:
            raise MalformedMessage("a body that belongs to nothing")
        if "error" in header:
            page_count = whole_number(header["page_count"], most=terms.max_pages)
            return PageFailure(whole_number(header["number"], -MAX_FIGURE), page_count, _error_of(header["error"]))
        if "opened" in header:
            return Opened(whole_number(header["opened"], 1, terms.max_pages))
        if "bug" in header:
            return WorkerBug(text_of(header["bug"], _MAX_TRACE_CHARACTERS))
        if header == {"ready": True}:
            return Ready()
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise MalformedMessage(f"a field that cannot be: {error!r:.200}") from error
    raise MalformedMessage("an answer of no kind")


def _page_frame(page: NormalizedPage, source: bytes) -> Frame:
    own = [part.content for part in page.parts if part.content is not source]
    size = sum(map(len, own))
    if size > MAX_PAGE_BYTES:
        raise errors.ImageTooLargeBytes(value=size, limit=MAX_PAGE_BYTES)
    parts = [
        {
            "bytes": None if part.content is source else len(part.content),
            "media_type": part.media_type,
            "size": (part.size.width, part.size.height),
            "to_page": part.to_page.values,
        }
        for part in page.parts
    ]
    told: Header = {
        "number": page.number,
        "page_count": page.page_count,
        "parts": parts,
        "page_size": (page.page_size.width, page.page_size.height),
        "source_size": (page.source_size.width, page.source_size.height),
        "page_to_source": page.page_to_source.values,
        "steps": [[step.name, tellable(step.parameters)] for step in page.steps],
        "measures": page.measures and asdict(page.measures),
        "preprocess_ms": page.preprocess_ms,
    }
    return frame({"page": told}, *own)


def _page_of(told: Header, body: memoryview, source: bytes, terms: Terms) -> NormalizedPage:
    page_size, source_size = (image_size(told[name], terms.max_pixels) for name in ("page_size", "source_size"))
    page_to_source = kept_near(homography_of(told["page_to_source"]), page_size)
    measures = told["measures"]
    return NormalizedPage(
        number=whole_number(told["number"], 1, terms.max_pages),
        page_count=whole_number(told["page_count"], most=terms.max_pages),
        parts=_parts(exactly(list, told["parts"]), body, source, terms, page_to_source),
        page_size=page_size,
        source_size=source_size,
        page_to_source=page_to_source,
        steps=tuple(_step(*step) for step in few_of(exactly(list, told["steps"]), _MAX_STEPS)),
        measures=None if measures is None else _measures(measures),
        preprocess_ms=finite_number(told["preprocess_ms"], least=0),
    )


def _parts(
    told: list[Any], body: memoryview, source: bytes, terms: Terms, page_to_source: Homography
) -> tuple[PagePart, ...]:
    """The page's images, which the body holds one after the other; the source itself can only be the whole page."""
    parts: list[PagePart] = []
    at = 0
    for part in told:
        content = source
        if part["bytes"] is not None:
            end = at + whole_number(part["bytes"])
            content, at = bytes(body[at:end]), end
        elif len(told) > 1:
            raise MalformedMessage("the source as one part of several")
        if part["media_type"] not in PAGE_MEDIA_TYPES:
            raise MalformedMessage("a part of an unknown media type")
        size = image_size(part["size"], terms.max_pixels)
        to_page = kept_near(homography_of(part["to_page"]), size)
        kept_near(page_to_source.compose(to_page), size)
        parts.append(PagePart(content, part["media_type"], size, to_page))
    if at != len(body) or not parts:
        raise MalformedMessage("parts and body of different lengths, or none")
    return tuple(parts)


def _step(name: object, parameters: object) -> AppliedStep:
    items = few_of(exactly(dict, parameters), MAX_ENTRIES).items()
    return AppliedStep(text_of(name), {text_of(key): text_of(value) for key, value in items})


def _measures(told: object) -> PageMeasures:
    values = dict(exactly(dict, told))
    readers: dict[str, Callable[[object], object]] = {
        "quarter_turns": partial(whole_number, most=3),
        "outline": _outline,
    }
    names = [each.name for each in fields(PageMeasures)]
    if set(values) != set(names):
        raise MalformedMessage("measures of other names")
    read = {name: None if values[name] is None else readers.get(name, finite_number)(values[name]) for name in names}
    return PageMeasures(**cast(dict[str, Any], read))


def _outline(value: object) -> tuple[Point, ...]:
    corners = tuple((finite_number(x), finite_number(y)) for x, y in exactly(list, value))
    if len(corners) != 4 or not all(map(is_near, corners)):
        raise MalformedMessage("an outline of other than four corners, or far from any image")
    return corners


def _error_of(told: Header) -> ExpectedError:
    error = _ERRORS_BY_NAME[exactly(str, told["name"])]
    attributes = exactly(dict, told["attributes"])
    wanted = _ERROR_FIELDS[error]
    if set(attributes) != set(wanted):
        raise MalformedMessage("an error with other attributes than its own")
    return error(**{name: _attribute(attributes[name], kind) for name, kind in wanted.items()})


def _attribute(value: object, kind: type) -> object:
    if kind is tuple:
        return tuple(map(text_of, few_of(exactly(list, value), MAX_ENTRIES)))
    if kind is int:
        return whole_number(value, -MAX_FIGURE, MAX_FIGURE)
    return text_of(value) if kind is str else exactly(kind, value)
