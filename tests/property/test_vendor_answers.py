"""What comes from outside may be anything: answers of every vendor, with any part of them replaced."""

from __future__ import annotations

import copy
import functools
import hashlib
import json
import math
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocr_gateway.document_codec import encode_document
from ocr_gateway.model import Feature, Page, Polygon, ProviderCall, ProviderResult
from ocr_gateway.providers.remote.dialect import Dialect
from ocr_gateway.providers.remote.meanings import Refusal
from ocr_gateway.providers.remote.provider import RemoteProvider
from tests.contracts.remote_cases import CASES
from tests.fakes.images import encoded, photo
from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.vendor import Head
from tests.fakes.standin.vendors.every import vendor_of

WIDTH, HEIGHT = 1000, 700
IMAGE = encoded(photo(WIDTH, HEIGHT), "PNG")
BY_KIND = {case.kind: case for case in CASES}
ANSWERS = [
    pytest.param(case.kind, feature, id=f"{case.kind}-{feature.value}") for case in CASES for feature in case.features
]

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, -1, 1, 10**400, float("nan"), float("inf"), 1e308])
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["\ud800", "NaN", "<table>", "9" * 400, "{}", "[[]]", "{"])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


@functools.cache
def dialect_of(kind: str) -> Dialect:
    """A vendor's adapter, without its network."""
    provider = BY_KIND[kind].build("http://127.0.0.1:9")
    assert isinstance(provider, RemoteProvider)
    return provider.dialect


@functools.cache
def answer_text(kind: str, feature: Feature) -> str:
    """A good answer, as its stand-in gives it to the adapter's own request."""
    case = BY_KIND[kind]
    dialect, vendor, now = dialect_of(kind), vendor_of(case.vendor), time.time()
    calls = [ProviderCall(IMAGE, "image/png", WIDTH, HEIGHT, feature)]
    body = dialect.body(calls)
    request = dialect.request(calls, hashlib.sha256(body).hexdigest() if dialect.signs_body else "", "", now)
    url = urlsplit(request.url)
    headers = {"host": url.netloc, **{name.lower(): value for name, value in request.headers.items()}}
    head = Head(request.method, url.path, dict(parse_qsl(url.query)), url.query, headers)
    stand_in = StandInSettings().changed({"lines": 2, **case.stand_in})
    asked = vendor.read(head, body, stand_in, now)
    reply = vendor.answer(asked, [hashlib.sha256(image).hexdigest() for image in asked.images], stand_in)
    said = reply.said if reply.status == 200 else vendor.polled(reply)
    return json.dumps(said)


def places(said: Any, so_far: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every part of an answer."""
    if so_far:
        yield so_far
    for key in said if isinstance(said, dict) else range(len(said)) if isinstance(said, list) else ():
        yield from places(said[key], (*so_far, key))


def replaced(said: Any, way: tuple[Any, ...], value: Any) -> Any:
    """The answer with one part replaced."""
    changed = copy.deepcopy(said)
    inner = changed
    for key in way[:-1]:
        inner = inner[key]
    inner[way[-1]] = value
    return changed


def polygons_of(page: Page) -> Iterator[Polygon]:
    for block in page.blocks:
        for line in block.lines:
            yield from (each for each in (line.polygon, *(word.polygon for word in line.words)) if each is not None)
    for table in page.tables:
        yield from (cell.polygon for cell in table.cells if cell.polygon is not None)
    yield from (field.polygon for field in page.fields if field.polygon is not None)


def check_page(page: Page) -> None:
    """A page that the schema can carry."""
    assert (page.width, page.height) == (WIDTH, HEIGHT)
    for polygon in polygons_of(page):
        assert len(polygon) == 4
        assert all(math.isfinite(side) for point in polygon for side in point)
    for cell in (cell for table in page.tables for cell in table.cells):
        assert min(cell.row, cell.column) >= 0
        assert min(cell.row_span, cell.column_span) >= 1
    sure = [line.confidence for block in page.blocks for line in block.lines]
    sure += [cell.confidence for table in page.tables for cell in table.cells]
    sure += [field.confidence for field in page.fields]
    assert all(0 <= each <= 1 for each in sure if each is not None)
    assert encode_document(page)


@pytest.mark.parametrize(("kind", "feature"), ANSWERS)
def test_a_good_answer_is_read(kind: str, feature: Feature) -> None:
    """What the next test takes apart is whole before."""
    (result,) = dialect_of(kind).results(
        json.loads(answer_text(kind, feature)), [ProviderCall(IMAGE, "image/png", WIDTH, HEIGHT, feature)]
    )
    assert isinstance(result, ProviderResult)
    check_page(result.page)
    assert result.page.blocks or result.page.tables or result.page.fields


@pytest.mark.parametrize(("kind", "feature"), ANSWERS)
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_an_answer_with_a_part_replaced_is_read_or_malformed(kind: str, feature: Feature, data: st.DataObject) -> None:
    """It raises ValueError and nothing else, or gives a page that the schema can carry."""
    said = json.loads(answer_text(kind, feature))
    for _ in range(data.draw(st.integers(1, 3))):
        way = data.draw(st.sampled_from(list(places(said))))
        said = replaced(said, way, data.draw(VALUES))
    call = ProviderCall(IMAGE, "image/png", WIDTH, HEIGHT, feature)
    try:
        results = dialect_of(kind).results(said, [call])
    except ValueError:
        return
    for result in results:
        assert isinstance(result, ProviderResult | Refusal)
        if isinstance(result, ProviderResult):
            check_page(result.page)
            assert math.isfinite(result.billed_units)
