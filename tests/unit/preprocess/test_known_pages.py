"""What is known of files that were normalised before."""

from __future__ import annotations

from preprocess_service.known_pages import KnownPage, KnownPages, SourceKey, source_digest, source_key, without_content
from preprocess_service.model import IDENTITY, NormalizedPage, Size


def page(number: int = 1, content: bytes = b"page") -> NormalizedPage:
    """A page of a document."""
    size = Size(10, 10)
    return NormalizedPage(number, 3, content, "image/png", size, size, IDENTITY, (), 7.5)


def known(number: int = 1) -> KnownPage:
    """The same, as it is remembered."""
    return without_content(page(number), b"file", source_digest(b"file"))


def key(name: str, **fields: str) -> SourceKey:
    """A file of this name's own content."""
    digest = source_digest(name.encode())
    return source_key(digest, fields.get("preprocessing", "v1:auto"), fields.get("password", ""))


def test_a_page_is_remembered_by_its_own_digest() -> None:
    """A page that is the file itself shares the file's digest; another one has its own; no content is kept."""
    file = b"file"
    itself = without_content(page(content=file), file, source_digest(file))
    other = without_content(page(content=b"made"), file, source_digest(file))
    assert (itself.digest, other.digest) == (source_digest(file), source_digest(b"made"))
    assert (other.page.content, other.page.preprocess_ms) == (b"", 0.0)
    assert (other.facts.page, other.facts.page_count, other.facts.last_page) == (1, 3, False)


def test_the_least_recently_used_file_is_let_go() -> None:
    """The bound is on pages; a use counts; a file over the bound is not kept."""
    pages = KnownPages(4_000)
    for name in ("a", "b"):
        pages.put(key(name), (known(1), known(2)))
    pages.get(key("a"))
    pages.put(key("c"), (known(1),))
    assert [pages.get(key(name)) is not None for name in "abc"] == [True, False, True]
    pages.put(key("huge"), tuple(known(n) for n in range(1, 6)))
    assert pages.get(key("huge")) is None
    assert pages.pages == 3
    pages.put(key("a"), (known(1),))
    assert pages.pages == 2


def test_all_that_decides_the_pages_is_in_the_key() -> None:
    """Another preprocessing or password is another file."""
    pages = KnownPages(4_000)
    pages.put(key("a"), (known(),))
    assert pages.get(key("a", preprocessing="v1:none")) is None
    assert pages.get(key("a", password="open")) is None


def test_it_can_be_turned_off() -> None:
    """With no memory nothing is known."""
    pages = KnownPages(0)
    pages.put(key("a"), (known(),))
    assert pages.get(key("a")) is None
