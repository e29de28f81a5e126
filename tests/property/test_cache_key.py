"""The cache's key over random parts: it differs whenever a part does that matters, and not otherwise."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ocr_gateway.cache.keys import KeyMaker, KeyParts
from ocr_gateway.model import Feature, IdDocument, Rect

WORDS = st.text(max_size=6)
SIDES = st.integers(0, 9) | st.floats(0, 100, allow_nan=False)
PART: dict[str, st.SearchStrategy[Any]] = {
    "preprocessing": WORDS,
    "provider": WORDS,
    "model": WORDS,
    "adapter_version": st.integers(0, 5),
    "features": st.frozensets(st.sampled_from(Feature), min_size=1),
    "schema_version": st.integers(0, 5),
    "languages": st.lists(WORDS, max_size=3).map(tuple),
    "options": st.dictionaries(WORDS, WORDS, max_size=3),
    "regions": st.lists(st.builds(Rect, SIDES, SIDES, SIDES, SIDES), max_size=2).map(tuple),
    "raw_response": st.booleans(),
    "document": st.none() | st.sampled_from(IdDocument),
    "mosaic": st.booleans(),
}
PARTS = st.builds(KeyParts, **PART)
DIGESTS = st.binary(min_size=32, max_size=32)
DIGEST = b"d" * 32


def cache_key(parts: KeyParts, digest: bytes = DIGEST) -> str:
    return KeyMaker(parts).key(digest)


def test_every_part_is_tried() -> None:
    """A part that is added to the key is added here."""
    assert [field.name for field in fields(KeyParts)] == list(PART)


@given(PARTS, st.sampled_from(list(PART)), st.data())
def test_the_key_differs_with_any_part(parts: KeyParts, name: str, data: st.DataObject) -> None:
    """Another value of one part makes another key."""
    other = replace(parts, **{name: data.draw(PART[name])})
    assert (cache_key(other) == cache_key(parts)) == (other == parts)


@given(PARTS, PARTS)
def test_the_keys_of_different_parts_differ(one: KeyParts, two: KeyParts) -> None:
    """However many parts differ, the keys do; nothing moves from one part into its neighbour."""
    assert (cache_key(one) == cache_key(two)) == (one == two)


@given(WORDS, WORDS)
def test_neighbouring_words_do_not_run_together(left: str, right: str) -> None:
    """The same letters divided otherwise make another key."""
    parts = KeyParts(left, right, "1", 1, frozenset({Feature.TEXT}), 1, languages=(left, right))
    for other in (
        replace(parts, preprocessing=left + right, provider=""),
        replace(parts, languages=(left + right,)),
        replace(parts, languages=(f"{left},{right}",)),
        replace(parts, languages=(f'{left}","{right}',)),
    ):
        assert (cache_key(other) == cache_key(parts)) == (other == parts)


@given(PARTS)
def test_the_order_of_the_options_does_not_matter(parts: KeyParts) -> None:
    """What means the same has the same key, 64 hexadecimal digits."""
    turned = replace(parts, options=dict(reversed(list(parts.options.items()))))
    assert cache_key(turned) == cache_key(parts)
    assert len(bytes.fromhex(cache_key(parts))) == 32


def test_equal_numbers_are_the_same_region() -> None:
    """A whole number, its float and a negative zero have one key."""
    parts = KeyParts("", "p", "1", 1, frozenset({Feature.TEXT}), 1)
    keys = {cache_key(replace(parts, regions=(Rect(x, 1, 2.0, 2),))) for x in (0, 0.0, -0.0)}
    assert len(keys) == 1


@given(PARTS, DIGESTS, DIGESTS)
def test_the_key_differs_with_the_image(parts: KeyParts, one: bytes, two: bytes) -> None:
    """Another image read in the same way has another key."""
    assert (cache_key(parts, one) == cache_key(parts, two)) == (one == two)
