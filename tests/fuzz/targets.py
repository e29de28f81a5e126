"""What a fuzzed file is put through: all that a worker process does with an untrusted file before it encodes a page."""

from __future__ import annotations

import re
import zlib
from contextlib import closing

from preprocess_service.decoders.opening import open_document
from preprocess_service.decoders.paged_document import ALL, DecodedPage, DecodeWish, PagedDocument
from preprocess_service.model import Reader, Source, SourceLimits
from preprocess_service.page_making import make_page
from preprocess_service.page_order import PageOrder
from preprocess_service.profiles import resolve
from rpc_runtime.expected_error import ExpectedError

MAX_PIXELS = 4_000_000
"""Below the service's own limit, so that most of the time goes into odd files and not into large ones."""
_LIMITS = SourceLimits(max_pixels=MAX_PIXELS, max_pages=200)
_MADE_LIMITS = SourceLimits(max_pixels=300_000)
_PAGES = 3
_MADE_SHARE = 16
"""Of so many small files one goes the whole way to an encoded page, which takes far longer than decoding it."""
_ORDERS = tuple(
    PageOrder(resolve(name, {}), Reader(), may_tile=True) for name in ("auto", "document", "photo", "receipt")
)
_LOOK_PX = 64
_SMALL = DecodeWish(grey=True, max_reduction=8)
_PARTICULARS = re.compile(r"starts with .*|damaged: .*[^ -\[\]-~].*|'[^']*'|\"[^\"]*\"|0x[0-9a-f]+|-?\d+")
"""What a message tells of one file alone."""


class PromiseBroken(Exception):
    """A decoder gave what its port does not allow."""


def read_file(content: bytes) -> str:
    """What became of the file: "read", or the expected error's name and message without its numbers.

    Any other exception is a bug.
    """
    try:
        with closing(open_document(Source(content), _LIMITS)) as document:
            outcome = _pages_read(document)
        chance = zlib.crc32(content)
        if outcome == "read" and chance % _MADE_SHARE == 0:
            _make(content, _ORDERS[chance // _MADE_SHARE % len(_ORDERS)])
    except ExpectedError as error:
        return outcome_of(error)
    return outcome


def _make(content: bytes, order: PageOrder) -> None:
    with closing(open_document(Source(content), _MADE_LIMITS)) as document:
        made = make_page(document, 1, order)
    if not made.parts or not all(part.content for part in made.parts):
        raise PromiseBroken("a page of no parts was made")


def outcome_of(error: ExpectedError) -> str:
    """The kind of a refusal, whatever numbers and words of the file it names."""
    return f"{type(error).__name__}: {_PARTICULARS.sub('#', str(error))[:120]}"


def _pages_read(document: PagedDocument) -> str:
    count = document.page_count
    if count < 1:
        raise PromiseBroken(f"a document of {count} pages was opened")
    outcome = "read"
    for number in sorted({*range(1, min(count, _PAGES) + 1), count}):
        looked = _looked(document, number)
        for wish in (ALL, _SMALL):
            try:
                _check(document.decode(number, wish), wish)
            except ExpectedError as error:
                outcome = outcome_of(error)
                if looked and wish is ALL:
                    raise PromiseBroken(f"a page that can be passed on cannot be decoded: {outcome}") from error
    return outcome


def _looked(document: PagedDocument, number: int) -> bool:
    """Whether the page would be passed on as it is."""
    try:
        plain = document.plain_page(number)
        if plain is None:
            return False
        pixels, reduction = plain.look(_LOOK_PX)
    except ExpectedError:
        return False
    expected = (-(-plain.height // reduction), -(-plain.width // reduction))
    if pixels.shape != expected:
        raise PromiseBroken(f"a look at {plain.width} x {plain.height} px, reduced by {reduction}: {pixels.shape}")
    return True


def _check(page: DecodedPage, wish: DecodeWish) -> None:
    shape, size = page.pixels.shape, page.size
    if page.pixels.dtype != "uint8" or len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] != 3):
        raise PromiseBroken(f"pixels of {page.pixels.dtype} {shape}")
    if not 1 <= page.reduction <= wish.max_reduction:
        raise PromiseBroken(f"reduced by {page.reduction} where {wish.max_reduction} is the most")
    expected = {-(-size.height // page.reduction), -(-size.width // page.reduction)}
    if set(shape[:2]) != expected:
        raise PromiseBroken(f"{shape} pixels of a page of {size}, reduced by {page.reduction}")
    if size.pixels > MAX_PIXELS or not 1 <= page.orientation <= 8:
        raise PromiseBroken(f"a page of {size}, orientation {page.orientation}")
