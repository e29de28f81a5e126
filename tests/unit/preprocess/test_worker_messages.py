"""The service's and its workers' messages: whole on the way back, and nothing that cannot be."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocess_service import errors, worker_messages
from preprocess_service.message_values import MalformedMessage
from preprocess_service.model import (
    PAGE_MEDIA_TYPES,
    AppliedStep,
    Homography,
    NormalizedPage,
    PageFailure,
    PageMeasures,
    PagePart,
    Size,
    Source,
    SourceLimits,
)
from preprocess_service.worker_messages import (
    MAX_HEADER_BYTES,
    MAX_PAGE_BYTES,
    PREFIX_BYTES,
    Answer,
    Frame,
    Opened,
    PageRequest,
    Ready,
    Terms,
    WorkerBug,
    answer_frame,
    answer_of,
    closing_frame,
    crosses,
    frame,
    frame_lengths,
    header_of,
    request_frame,
    request_of,
    terms_frame,
    terms_of,
)
from rpc_runtime.expected_error import ExpectedError

SOURCE = b"the file itself"

numbers = st.floats(allow_nan=False, allow_infinity=False)
TERMS = Terms(SourceLimits(max_pages=2000), memory_bytes=2**28)
counts = st.integers(1, 2000)
sides = st.integers(1, 10_000)
sizes = st.builds(Size, sides, sides)
scales, shears, shifts = st.floats(0.1, 10), st.floats(-0.05, 0.05), st.floats(-100, 100)
tilts = st.floats(0, 1e-6)
homographies = st.builds(
    Homography, st.tuples(scales, shears, shifts, shears, scales, shifts, tilts, tilts, st.just(1.0))
)
places = st.floats(-1e6, 1e6)
points = st.tuples(places, places)
optional = st.none() | numbers
measures = st.builds(
    PageMeasures,
    quarter_turns=st.none() | st.integers(0, 3),
    skew_deg=optional,
    contrast=optional,
    noise=optional,
    unevenness=optional,
    text_height_px=optional,
    blur=optional,
    outline=st.none() | st.tuples(points, points, points, points),
)
parts = st.builds(PagePart, st.binary(max_size=50), st.sampled_from(PAGE_MEDIA_TYPES), sizes, homographies)
untouched = st.builds(PagePart, st.just(SOURCE), st.sampled_from(PAGE_MEDIA_TYPES), sizes)
figures = st.integers(-(2**64), 2**64)
steps = st.builds(AppliedStep, st.text(max_size=20), st.dictionaries(st.text(max_size=9), st.text(max_size=9)))
pages = st.builds(
    NormalizedPage,
    number=counts,
    page_count=counts,
    parts=st.lists(parts, min_size=1, max_size=4).map(tuple) | untouched.map(lambda part: (part,)),
    page_size=sizes,
    source_size=sizes,
    page_to_source=homographies,
    steps=st.lists(steps, max_size=3).map(tuple),
    measures=st.none() | measures,
    preprocess_ms=st.floats(0, 1e9),
)
page_errors: st.SearchStrategy[ExpectedError] = st.one_of(
    st.builds(errors.ImageEmpty),
    st.builds(errors.ImageUndecodable, st.text()),
    st.builds(errors.PageBeyondMemory, limit_bytes=figures),
    st.builds(errors.PasswordRequired, given=st.booleans()),
    st.builds(errors.FormatUnsupported, st.text(), st.lists(st.text(), max_size=3)),
    st.builds(errors.ImageTooLargeBytes, value=figures, limit=figures),
    st.builds(errors.ImageTooLargePixels, width=figures, height=figures, limit=figures),
    st.builds(errors.TooManyPages, value=figures, limit=figures),
    st.builds(errors.PageOutOfDocument, page=figures, page_count=figures),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def taken_apart(pieces: Frame) -> tuple[dict[str, Any], bytes]:
    content = b"".join(pieces)
    header_bytes, body_bytes = frame_lengths(content[:PREFIX_BYTES], max_body_bytes=MAX_PAGE_BYTES)
    assert len(content) == PREFIX_BYTES + header_bytes + body_bytes
    return header_of(content[PREFIX_BYTES : PREFIX_BYTES + header_bytes]), content[PREFIX_BYTES + header_bytes :]


def there_and_back(answer: Answer) -> Answer:
    header, body = taken_apart(answer_frame(answer, SOURCE))
    return answer_of(header, memoryview(body), SOURCE, TERMS)


@given(pages)
def test_a_page_comes_as_it_was(page: NormalizedPage) -> None:
    """Every field comes back equal, and a part that is the source as the source itself, without its bytes."""
    back = there_and_back(page)
    assert back == page
    assert isinstance(back, NormalizedPage)
    assert [part.content is SOURCE for part in back.parts] == [part.content is SOURCE for part in page.parts]
    _, body = taken_apart(answer_frame(page, SOURCE))
    assert len(body) == sum(len(part.content) for part in page.parts if part.content is not SOURCE)


@given(figures, st.integers(0, 2000), page_errors)
def test_an_error_comes_as_it_was(number: int, page_count: int, error: ExpectedError) -> None:
    """Type, message, figures and field are those that the worker raised."""
    back = there_and_back(PageFailure(number, page_count, error))
    assert isinstance(back, PageFailure)
    assert (back.number, back.page_count) == (number, page_count)
    assert type(back.error) is type(error)
    assert str(back.error) == str(error)
    assert (back.error.metadata, back.error.field) == (error.metadata, error.field)


@pytest.mark.parametrize("answer", [Ready(), Opened(7), WorkerBug("Traceback …")])
def test_the_small_answers_come_as_they_were(answer: Answer) -> None:
    """Each kind is told from the others."""
    assert there_and_back(answer) == answer


def test_only_errors_of_pages_cross() -> None:
    """An error that a page cannot cause is the worker's bug."""
    assert crosses(errors.ImageEmpty())
    assert not crosses(errors.GatewayUnavailable("away"))


@given(st.integers(0), st.integers(0), st.binary(), st.lists(st.integers(), max_size=3).map(tuple), st.text())
def test_a_request_comes_as_it_was(
    token: int, number: int, order: bytes, closed: tuple[int, ...], password: str
) -> None:
    """With the source and without; an empty file is a source too."""
    for source in (None, Source(b"", password), Source(SOURCE, password)):
        request = PageRequest(token, number, order, source, closed)
        header, body = taken_apart(request_frame(request))
        assert request_of(header, body[: len(order)], body[len(order) :]) == request


def test_the_other_messages_to_a_worker() -> None:
    """The terms come whole; a frame that only closes is no request."""
    terms = Terms(SourceLimits(1, 2, 3), 4)
    assert terms_of(taken_apart(terms_frame(terms))[0]) == terms
    header, body = taken_apart(closing_frame([3, 4]))
    assert request_of(header, b"", body) is None
    assert header["closed"] == [3, 4]


@pytest.mark.parametrize(("header_bytes", "body_bytes"), [(MAX_HEADER_BYTES + 1, 0), (0, 11), (2**32 - 1, 2**64 - 1)])
def test_frames_are_bounded(header_bytes: int, body_bytes: int) -> None:
    """A length over its bound is refused before anything is allocated for it."""
    prefix = header_bytes.to_bytes(4, "big") + body_bytes.to_bytes(8, "big")
    with pytest.raises(MalformedMessage):
        frame_lengths(prefix, max_body_bytes=10)


def test_a_page_over_the_bound_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that made too much says so, instead of sending what would be refused."""
    monkeypatch.setattr(worker_messages, "MAX_PAGE_BYTES", 3)
    part = PagePart(b"four", "image/png", Size(1, 1))
    unit = Homography((1.0,) * 9)
    page = NormalizedPage(1, 1, (part,), Size(1, 1), Size(1, 1), unit, (), None, 0.0)
    with pytest.raises(errors.ImageTooLargeBytes):
        answer_frame(page)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"7", b"\xff", b"[" * 100_000, b'{"a":' + b"9" * 9999 + b"}"])
def test_a_header_is_an_object(text: bytes) -> None:
    """Anything else is malformed, and nothing else is raised."""
    with pytest.raises(MalformedMessage):
        header_of(text)


@given(pages, st.data())
def test_a_page_with_any_field_changed_is_a_page_or_malformed(page: NormalizedPage, data: st.DataObject) -> None:
    """Whatever stands in a field, a worker's answer is understood or refused; nothing else is raised."""
    header, body = taken_apart(answer_frame(page, SOURCE))
    place: Any = header["page"]
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(json_values)
    try:
        back = answer_of(json.loads(json.dumps(header)), memoryview(body), SOURCE, TERMS)
    except MalformedMessage:
        return
    assert isinstance(back, NormalizedPage)


@given(
    st.dictionaries(st.sampled_from(["page", "error", "opened", "bug", "ready", "number", "page_count"]), json_values)
)
def test_any_answer_is_understood_or_malformed(header: dict[str, Any]) -> None:
    """Of headers of any content too."""
    try:
        answer_of(header, memoryview(b""), SOURCE, TERMS)
    except MalformedMessage:
        return


@pytest.mark.parametrize(
    "told",
    [
        {"name": "ImageEmpty", "attributes": {"detail": "x"}},
        {"name": "ImageUndecodable", "attributes": {}},
        {"name": "ImageUndecodable", "attributes": {"detail": 7}},
        {"name": "PasswordRequired", "attributes": {"given": 1}},
        {"name": "FormatUnsupported", "attributes": {"media_type": "a", "supported": "b"}},
        {"name": "GatewayUnavailable", "attributes": {"detail": "x"}},
        {"name": "object", "attributes": {}},
        {"name": "ImageUndecodable", "attributes": {"detail": "\ud800"}},
        {"name": "ImageUndecodable", "attributes": {"detail": "x" * 1001}},
        {"name": "FormatUnsupported", "attributes": {"media_type": "a", "supported": ["b"] * 65}},
        {"name": "TooManyPages", "attributes": {"value": 10**4000, "limit": 1}},
    ],
)
def test_errors_are_made_from_a_closed_list(told: dict[str, Any]) -> None:
    """Another class, or other arguments than its own, is malformed."""
    with pytest.raises(MalformedMessage):
        answer_of({"number": 1, "page_count": 1, "error": told}, memoryview(b""), SOURCE, TERMS)


def test_a_body_belongs_to_a_page() -> None:
    """Bytes after an answer that has none, or more than its parts say, are malformed."""
    header, _ = taken_apart(frame({"opened": 3}))
    with pytest.raises(MalformedMessage):
        answer_of(header, memoryview(b"x"), SOURCE, TERMS)


_UNIT = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
_MEASURES: dict[str, Any] = dict.fromkeys(field.name for field in fields(PageMeasures))


def a_page(**changed: Any) -> dict[str, Any]:
    """A worker's word of a page that is its source, and with some of it changed."""
    part = {"bytes": None, "media_type": "image/png", "size": [10, 10], "to_page": _UNIT}
    told = {"number": 1, "page_count": 1, "parts": [part], "page_size": [10, 10], "source_size": [10, 10]}
    told |= {"page_to_source": _UNIT, "steps": [], "measures": None, "preprocess_ms": 1.0}
    return {"page": told | changed}


def a_part(**changed: Any) -> dict[str, Any]:
    return a_page()["page"]["parts"][0] | changed  # type: ignore[no-any-return]


def test_a_page_as_it_should_be_is_understood() -> None:
    """What the next test changes was right before."""
    assert isinstance(answer_of(a_page(), memoryview(b""), SOURCE, TERMS), NormalizedPage)
    turned = a_page(measures=_MEASURES | {"quarter_turns": 3, "outline": [[0, 0], [9, 0], [9, 9], [0, 9]]})
    assert isinstance(answer_of(turned, memoryview(b""), SOURCE, TERMS), NormalizedPage)


@pytest.mark.parametrize(
    "told",
    [
        {"opened": 2001},
        {"opened": 2**40},
        {"bug": "\udfff"},
        {"bug": "x" * 8001},
        {"number": 1, "page_count": 2001, "error": {"name": "ImageEmpty", "attributes": {}}},
        {"number": -(2**70), "page_count": 0, "error": {"name": "ImageEmpty", "attributes": {}}},
        a_page(page_count=2001),
        a_page(number=2001),
        a_page(page_size=[2**31, 1]),
        a_page(page_size=[2**14 + 1, 2**14]),
        a_page(source_size=[2**31 - 1, 2**31 - 1]),
        a_page(parts=[a_part(size=[2**20, 2**20])]),
        a_page(parts=[a_part(), a_part()]),
        a_page(steps=[["\ud800", {}]]),
        a_page(steps=[["scale", {"to": "\ud800"}]]),
        a_page(steps=[["scale", {}]] * 65),
        a_page(steps=[["scale", {str(number): "" for number in range(65)}]]),
        a_page(preprocess_ms=-1.0),
        a_page(preprocess_ms=10**400),
        a_page(measures=_MEASURES | {"quarter_turns": 4}),
        a_page(measures=_MEASURES | {"quarter_turns": 2**60}),
        a_page(measures=_MEASURES | {"outline": [[0, 0], [1e300, 0], [9, 9], [0, 9]]}),
    ],
)
def test_figures_and_texts_have_bounds(told: dict[str, Any]) -> None:
    """More pages or pixels than the terms allow, numbers that no answer holds, and texts that cannot be sent on."""
    with pytest.raises(MalformedMessage):
        answer_of(told, memoryview(b""), SOURCE, TERMS)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([0.0] * 9, id="zero"),
        pytest.param([1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0], id="flat"),
        pytest.param([1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0], id="the left side at infinity"),
        pytest.param([1.0, 0.0, 0.0, 0.0, 1.0, 0.0, -0.2, 0.0, 1.0], id="a horizon across"),
        pytest.param([1.0, 0.0, 0.0, 0.0, 1.0, 0.0, -0.1, -0.1, 2.0], id="a corner at infinity"),
        pytest.param([-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, -1.0], id="behind"),
        pytest.param([1.0, 0.0, 1e12, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0], id="far away"),
        pytest.param([1e308, 0.0, 0.0, 0.0, 1e308, 0.0, 0.0, 0.0, 1.0], id="beyond numbers"),
        pytest.param([1e-200, 0.0, 0.0, 0.0, 1e-200, 0.0, 0.0, 0.0, 1.0], id="a point"),
    ],
)
def test_a_homography_must_have_a_way_back_and_no_horizon_on_its_image(values: list[float]) -> None:
    """Neither of the page nor of a part of it: places of both are taken to the source and back."""
    for told in (a_page(page_to_source=values), a_page(parts=[a_part(to_page=values)])):
        with pytest.raises(MalformedMessage):
            answer_of(told, memoryview(b""), SOURCE, TERMS)


def test_a_part_may_not_lie_beyond_its_pages_horizon() -> None:
    """A page without a horizon, and a part far outside of it, where there is one."""
    tilted = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, -0.01, 0.0, 1.0]
    aside = [1.0, 0.0, 95.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    answer_of(a_page(page_to_source=tilted), memoryview(b""), SOURCE, TERMS)
    with pytest.raises(MalformedMessage):
        answer_of(a_page(page_to_source=tilted, parts=[a_part(to_page=aside)]), memoryview(b""), SOURCE, TERMS)


def test_a_worker_brings_what_a_file_says_into_the_bounds() -> None:
    """A long text, half a character and a monstrous figure of a file are told as near as they can be."""
    told = there_and_back(PageFailure(1, 0, errors.ImageUndecodable("\ud800" + "x" * 2000)))
    assert isinstance(told, PageFailure)
    assert str(told.error).endswith(": ?" + "x" * 999)
    told = there_and_back(PageFailure(1, 0, errors.ImageTooLargeBytes(value=2**99, limit=7)))
    assert isinstance(told, PageFailure)
    assert told.error.metadata["value"] == str(2**64)
    assert there_and_back(WorkerBug("\ud800")) == WorkerBug("?")
