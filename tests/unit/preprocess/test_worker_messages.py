"""The service's and its workers' messages: whole on the way back, and nothing that cannot be."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocess_service import errors, worker_messages
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
    MalformedMessage,
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
counts = st.integers(1, 2**40)
sizes = st.builds(Size, st.integers(1, 2**31 - 1), st.integers(1, 2**31 - 1))
homographies = st.builds(Homography, st.tuples(*[numbers] * 9))
points = st.tuples(numbers, numbers)
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
parts = st.builds(
    PagePart, st.just(SOURCE) | st.binary(max_size=50), st.sampled_from(PAGE_MEDIA_TYPES), sizes, homographies
)
steps = st.builds(AppliedStep, st.text(max_size=20), st.dictionaries(st.text(max_size=9), st.text(max_size=9)))
pages = st.builds(
    NormalizedPage,
    number=counts,
    page_count=counts,
    parts=st.lists(parts, min_size=1, max_size=4).map(tuple),
    page_size=sizes,
    source_size=sizes,
    page_to_source=homographies,
    steps=st.lists(steps, max_size=3).map(tuple),
    measures=st.none() | measures,
    preprocess_ms=numbers,
)
page_errors: st.SearchStrategy[ExpectedError] = st.one_of(
    st.builds(errors.ImageEmpty),
    st.builds(errors.ImageUndecodable, st.text()),
    st.builds(errors.PageBeyondMemory, limit_bytes=st.integers()),
    st.builds(errors.PasswordRequired, given=st.booleans()),
    st.builds(errors.FormatUnsupported, st.text(), st.lists(st.text(), max_size=3)),
    st.builds(errors.ImageTooLargeBytes, value=st.integers(), limit=st.integers()),
    st.builds(errors.ImageTooLargePixels, width=st.integers(), height=st.integers(), limit=st.integers()),
    st.builds(errors.TooManyPages, value=st.integers(), limit=st.integers()),
    st.builds(errors.PageOutOfDocument, page=st.integers(), page_count=st.integers()),
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
    return answer_of(header, memoryview(body), SOURCE)


@given(pages)
def test_a_page_comes_as_it_was(page: NormalizedPage) -> None:
    """Every field comes back equal, and a part that is the source as the source itself, without its bytes."""
    back = there_and_back(page)
    assert back == page
    assert isinstance(back, NormalizedPage)
    assert [part.content is SOURCE for part in back.parts] == [part.content is SOURCE for part in page.parts]
    _, body = taken_apart(answer_frame(page, SOURCE))
    assert len(body) == sum(len(part.content) for part in page.parts if part.content is not SOURCE)


@given(st.integers(), st.integers(0, 2**40), page_errors)
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
        back = answer_of(json.loads(json.dumps(header)), memoryview(body), SOURCE)
    except MalformedMessage:
        return
    assert isinstance(back, NormalizedPage)


@given(
    st.dictionaries(st.sampled_from(["page", "error", "opened", "bug", "ready", "number", "page_count"]), json_values)
)
def test_any_answer_is_understood_or_malformed(header: dict[str, Any]) -> None:
    """Of headers of any content too."""
    try:
        answer_of(header, memoryview(b""), SOURCE)
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
    ],
)
def test_errors_are_made_from_a_closed_list(told: dict[str, Any]) -> None:
    """Another class, or other arguments than its own, is malformed."""
    with pytest.raises(MalformedMessage):
        answer_of({"number": 1, "page_count": 1, "error": told}, memoryview(b""), SOURCE)


def test_a_body_belongs_to_a_page() -> None:
    """Bytes after an answer that has none, or more than its parts say, are malformed."""
    header, _ = taken_apart(frame({"opened": 3}))
    with pytest.raises(MalformedMessage):
        answer_of(header, memoryview(b"x"), SOURCE)
