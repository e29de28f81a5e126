"""Documents of many pages and the rarer formats, through both services: one item in, its pages out as they come."""

from __future__ import annotations

import io

import grpc
import pillow_heif
import pytest
from PIL import Image

from ocr_gateway.model import Page, ProviderCall
from ocrmux.ocr.v1 import recognition_pb2
from ocrmux.preprocess.v1 import preprocess_pb2
from tests.fakes.documents import PdfPage, image_stream, pdf_of, scan_page, text_page
from tests.fakes.gateway_messages import image, outcome, reason_of, status_of
from tests.fakes.images import InkBox, encoded, page_with_ink, tiff_pages
from tests.fakes.preprocess_calls import answers_of, unary
from tests.fakes.preprocess_messages import config, source
from tests.fakes.providers import Gate, ScriptedProvider, at_once, ink_of
from tests.fakes.servers import running_pair

INK = InkBox(100, 60, 80, 40)


def heic(picture: Image.Image) -> bytes:
    """The picture as a HEIC file."""
    out = io.BytesIO()
    pillow_heif.from_pillow(picture).save(out, quality=95)
    return out.getvalue()


def tiff(count: int) -> bytes:
    """A TIFF whose page number n is 60 + n pixels wide."""
    return tiff_pages(*(page_with_ink(60 + number, 40) for number in range(1, count + 1)))


def pdf(count: int) -> bytes:
    """A PDF of so many scans, each of another width."""
    scans = (page_with_ink(60 + number, 40, InkBox(10, 10, 8, 8)) for number in range(1, count + 1))
    return pdf_of(*(scan_page(image_stream(scan), size_pt=(scan.width, scan.height)) for scan in scans))


def box_of(answer: recognition_pb2.PageAnswer) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the only line."""
    (line,) = [line for block in answer.document.pages[0].blocks for line in block.lines]
    xs, ys = [point.x for point in line.polygon.points], [point.y for point in line.polygon.points]
    return min(xs), min(ys), max(xs), max(ys)


@pytest.mark.parametrize("document", [tiff, pdf], ids=["tiff", "pdf"])
async def test_pages_come_in_order_with_their_count_and_a_last_mark(document: type) -> None:
    """Twelve pages of one item, from several workers, on a stream and in a unary call."""
    async with running_pair(ScriptedProvider(), workers=2) as pair:
        streamed = await answers_of(pair, [config(profile="none"), source("d", document(12))])
        response = await pair.stub.Recognize(unary(document(12)), timeout=60)
    for answers in (streamed, list(response.answers)):
        assert [answer.page for answer in answers] == list(range(1, 13))
        assert [answer.last_page for answer in answers] == [False] * 11 + [True]
        assert {answer.page_count for answer in answers} == {12}
        assert [answer.document.pages[0].number for answer in answers] == list(range(1, 13))
    assert [answer.transform.source_size.width for answer in streamed] == [60 + n for n in range(1, 13)]


@pytest.mark.parametrize("document", [tiff, pdf], ids=["tiff", "pdf"])
async def test_a_page_is_answered_before_the_last_one_is_made(document: type) -> None:
    """While the provider holds the second page of forty, the first one's answer is there and the last is not begun."""
    gate = Gate()

    async def script(call: ProviderCall) -> Page | None:
        return await (at_once(call) if call.width == 61 else gate(call))

    provider = ScriptedProvider(script)
    async with running_pair(provider, workers=2, pages_ahead=3, max_pages_in_flight=4) as pair:
        call = pair.stub.StreamRecognize(timeout=60)
        await call.write(config(profile="none"))
        await call.read()
        await call.write(source("d", document(40)))
        first = (await call.read()).answer
        await provider.until(lambda: provider.in_progress == 3)
        begun = len(provider.calls)
        gate.opened.set()
        rest = [(await call.read()).answer for _ in range(39)]
        call.cancel()
    assert (first.page, first.page_count, first.last_page, outcome(first)) == (1, 40, False, "OK")
    assert begun <= 4
    assert [answer.page for answer in rest] == list(range(2, 41))


@pytest.mark.parametrize(
    ("content", "tolerance_px"),
    [
        (heic(page_with_ink(400, 240, INK)), 2.0),
        (encoded(page_with_ink(400, 240, INK), "AVIF", quality=90), 2.0),
        (encoded(page_with_ink(400, 240, INK), "GIF"), 1.0),
        (encoded(page_with_ink(400, 240, INK), "WEBP", lossless=True), 1.0),
        (pdf_of(scan_page(image_stream(page_with_ink(400, 240, INK)), size_pt=(200, 120))), 1.0),
    ],
    ids=["heic", "avif", "gif", "webp", "pdf"],
)
async def test_ink_is_where_it_was_drawn_in_every_format(content: bytes, tolerance_px: float) -> None:
    """One page in pixels of the picture that was sent; of a PDF's scan, in the scan's own."""
    async with running_pair(ScriptedProvider(ink_of)) as pair:
        (answer,) = await answers_of(pair, [config(profile="none"), source("a", content)])
    assert (outcome(answer), answer.page, answer.page_count, answer.last_page) == ("OK", 1, 1, True)
    page = answer.document.pages[0]
    assert (page.size.width, page.size.height) == (400, 240)
    assert box_of(answer) == pytest.approx((100, 60, 180, 100), abs=tolerance_px)


async def test_a_drawn_page_is_answered_in_pixels_of_its_rendering() -> None:
    """A box drawn at known points of a PDF page stands at the same share of the page's size, to within 2 px."""
    drawn = PdfPage(content=b"0 g 144 504 216 72 re f", media_box="[0 0 612 792]")
    async with running_pair(ScriptedProvider(ink_of)) as pair:
        (answer,) = await answers_of(pair, [config(profile="none"), source("a", pdf_of(drawn))])
    size = answer.document.pages[0].size
    assert (answer.transform.source_size.width, answer.transform.source_size.height) == (size.width, size.height)
    scale = size.width / 612
    assert 100 / 72 < scale < 400 / 72
    expected = (144, 792 - 504 - 72, 360, 792 - 504)
    assert box_of(answer) == pytest.approx([scale * each for each in expected], abs=2.0)


async def test_an_encrypted_document_wants_its_password() -> None:
    """Missing or wrong it is told which; the right one opens it, and what it opened is not open to others."""
    locked = pdf_of(text_page("secret"), text_page("more"), user_password="open sesame")
    async with running_pair(ScriptedProvider()) as pair:
        answers = await answers_of(
            pair,
            [
                config(ordered=True),
                source("right", locked, password="open sesame"),
                source("wrong", locked, password="open"),
                source("none", locked),
                source("again", locked, password="open sesame"),
            ],
        )
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await pair.stub.Normalize(
                preprocess_pb2.NormalizeRequest(item={"image": {"content": locked}}),  # type: ignore[arg-type]
                timeout=60,
            )
    got = [(answer.request_id, answer.page, outcome(answer)) for answer in answers]
    assert got == [
        ("right", 1, "OK"),
        ("right", 2, "OK"),
        ("wrong", 0, "PASSWORD_REQUIRED"),
        ("none", 0, "PASSWORD_REQUIRED"),
        ("again", 1, "OK"),
        ("again", 2, "OK"),
    ]
    assert answers[2].error.message != answers[3].error.message
    assert failed.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert reason_of(status_of(failed.value)) == "PASSWORD_REQUIRED"


async def test_pages_of_several_documents_do_not_wait_for_each_other() -> None:
    """While every page of a long document is held, a small file of the same stream is answered."""
    gate = Gate()

    async def script(call: ProviderCall) -> Page | None:
        return await (at_once(call) if call.width == 24 else gate(call))

    async with running_pair(ScriptedProvider(script), workers=2, pages_ahead=2) as pair:
        call = pair.stub.StreamRecognize(timeout=60)
        await call.write(config(profile="none"))
        await call.read()
        await call.write(source("long", tiff(20)))
        await call.write(source("small", image(1)))
        assert (await call.read()).answer.request_id == "small"
        gate.opened.set()
        assert [(await call.read()).answer.page for _ in range(20)] == list(range(1, 21))
        call.cancel()
