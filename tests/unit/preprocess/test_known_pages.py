"""What is known of files that were normalised before."""

from __future__ import annotations

import hashlib

from preprocess_service.known_pages import (
    KnownPage,
    KnownPages,
    SourceKey,
    content_digest,
    source_key,
    without_content,
)
from preprocess_service.model import (
    IDENTITY,
    Homography,
    NormalizedPage,
    PageFit,
    PageMeasures,
    PagePart,
    PagePreference,
    Reader,
    Size,
)
from preprocess_service.translation import facts_message

LOWER = Homography((1.0, 0.0, 0.0, 0.0, 1.0, 8.0, 0.0, 0.0, 1.0))


def sha256(content: bytes) -> bytes:
    """The digest by the library."""
    return hashlib.sha256(content).digest()


def page(number: int = 1, *contents: bytes) -> NormalizedPage:
    """A page of a document, in as many parts as there are contents."""
    size = Size(10, 10)
    places = (IDENTITY, LOWER)
    parts = tuple(PagePart(each, "image/png", size, places[i]) for i, each in enumerate(contents or (b"page",)))
    return NormalizedPage(number, 3, parts, Size(10, 18), size, IDENTITY, (), PageMeasures(skew_deg=2.0), 7.5)


def known(number: int = 1, *contents: bytes) -> KnownPage:
    """The same, as it is remembered."""
    made = page(number, *contents)
    return KnownPage(made, facts_message(made), tuple(sha256(part.content) for part in made.parts))


def key(
    name: str, preprocessing: str = "v2:auto,untouched", password: str = "", reader: Reader | None = None
) -> SourceKey:
    """A file of this name's own content."""
    return source_key(sha256(name.encode()), preprocessing, reader or Reader(), password)


async def test_a_page_is_remembered_by_its_own_digests() -> None:
    """A part that is the file itself shares the file's digest, the others have their own; no content is kept."""
    file = b"file"
    itself = await without_content(page(1, file), file, b"the file's own")
    tiled = await without_content(page(1, b"upper", b"lower"), file, b"the file's own")
    assert (itself.digests, tiled.digests) == ((b"the file's own",), (sha256(b"upper"), sha256(b"lower")))
    assert [part.content for part in tiled.page.parts] == [b"", b""]
    assert [part.to_page for part in tiled.page.parts] == [IDENTITY, LOWER]
    assert tiled.page.preprocess_ms == 0.0
    assert (tiled.facts.page, tiled.facts.page_count, tiled.facts.last_page) == (1, 3, False)
    assert (tiled.facts.measures.skew_deg, tiled.facts.measures.HasField("noise")) == (2.0, False)


async def test_large_contents_have_the_digest_that_small_ones_have() -> None:
    """Whatever thread it is made on."""
    large = bytes(range(256)) * 5000
    assert [await content_digest(each) for each in (b"", large)] == [sha256(b""), sha256(large)]


def test_the_least_recently_used_file_is_let_go() -> None:
    """The bound is on parts of pages; a use counts; a file over the bound is not kept."""
    pages = KnownPages(6_000)
    for name in ("a", "b"):
        pages.put(key(name), (known(1), known(2)))
    pages.get(key("a"))
    pages.put(key("c"), (known(1),))
    assert [pages.get(key(name)) is not None for name in "abc"] == [True, False, True]
    pages.put(key("huge"), tuple(known(n) for n in range(1, 6)))
    assert pages.get(key("huge")) is None
    assert pages.parts == 3
    pages.put(key("a"), (known(1, b"upper", b"lower"),))
    assert pages.parts == 3
    pages.put(key("a"), (known(1),))
    assert pages.parts == 2


def test_all_that_decides_the_pages_is_in_the_key() -> None:
    """Another preprocessing, password, or reader by its taste or limits is another file."""
    pages = KnownPages(6_000)
    pages.put(key("a"), (known(),))
    assert pages.get(key("a", reader=Reader(fit=PageFit()))) is not None
    assert pages.get(key("a", reader=Reader(PagePreference.BILEVEL))) is None
    assert pages.get(key("a", reader=Reader(fit=PageFit(max_side_px=5)))) is None
    assert pages.get(key("a", preprocessing="v2:none")) is None
    assert pages.get(key("a", password="open")) is None


def test_it_can_be_turned_off() -> None:
    """With no memory nothing is known."""
    pages = KnownPages(0)
    pages.put(key("a"), (known(),))
    assert pages.get(key("a")) is None
