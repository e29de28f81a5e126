"""Damaged and hostile PDFs: refused, or read as far as they go, within bounded time."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from preprocess_service.decoders.opening import open_document
from preprocess_service.decoders.paged_document import DecodeWish
from preprocess_service.errors import ImageTooLargePixels, ImageUndecodable, PasswordRequired, TooManyPages
from preprocess_service.model import Source, SourceLimits
from tests.fakes.documents import PdfPage, PdfStream, image_stream, pdf_of, pdf_of_objects, scan_page, text_page
from tests.fakes.images import photo

SMALL = SourceLimits(max_pixels=2_000_000, max_pages=50)
REFUSALS = (ImageUndecodable, ImageTooLargePixels, TooManyPages, PasswordRequired)
pytestmark = pytest.mark.timeout(60)


def read_all(content: bytes, password: str = "") -> int:
    """The number of pages that could be read. Raises only what is expected of a bad file."""
    document = open_document(Source(content, password), SMALL)
    read = 0
    for number in range(1, document.page_count + 1):
        try:
            plain = document.plain_page(number)
            if plain is not None:
                plain.look(100)
            pixels = document.decode(number, DecodeWish(grey=bool(number % 2))).pixels
        except (ImageUndecodable, ImageTooLargePixels):
            continue
        assert pixels.dtype == np.uint8
        read += 1
    document.close()
    return read


def catalog(pages: str, *others: bytes | PdfStream) -> bytes:
    return pdf_of_objects([b"<</Type/Catalog/Pages 2 0 R>>", pages.encode(), *others])


LEAF = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]/Contents 4 0 R/Resources<</XObject<</X 4 0 R>>>>>>"
FORM = "/Type/XObject/Subtype/Form/BBox[0 0 72 72]/Resources<</XObject<</X 4 0 R/Y 5 0 R>>>>"


@pytest.mark.parametrize(
    "content",
    [
        b"%PDF-1.7\n",
        b"%PDF-1.7\n" + bytes(range(256)) * 50,
        b"mail\n%PDF-1.4\n%%EOF",
        catalog("null"),
        catalog("<</Type/Pages/Kids[]/Count 0>>"),
        pdf_of_objects([b"<</Type/Catalog>>"]),
        pdf_of_objects([b"1 0 R"]),
    ],
    ids=["header", "garbage", "empty", "no tree", "no kids", "no pages", "itself"],
)
def test_a_file_without_pages_is_undecodable(content: bytes) -> None:
    """What pdfium cannot open, and what has no page, is refused as a whole."""
    with pytest.raises(ImageUndecodable, match="PDF"):
        read_all(content)


@pytest.mark.parametrize(
    ("content", "pages"),
    [
        (catalog("<</Type/Pages/Kids[2 0 R]/Count 3>>"), 0),
        (catalog("<</Type/Pages/Kids[3 0 R 3 0 R]/Count 2>>", b"<</Type/Pages/Parent 2 0 R/Kids[2 0 R]/Count 1>>"), 0),
        (pdf_of_objects([b"<</Type/Catalog/Pages 1 0 R>>"]), 1),
        (catalog("<</Type/Pages/Kids[3 0 R]/Count 9>>", LEAF, PdfStream("", b"")), 1),
        (catalog("<</Type/Pages/Kids[3 0 R]/Count 1>>", LEAF, PdfStream(FORM, b"/X Do")), 1),
        (
            catalog(
                "<</Type/Pages/Kids[3 0 R]/Count 1>>",
                LEAF,
                PdfStream(FORM, b"/Y Do /Y Do"),
                PdfStream(FORM, b"/X Do /X Do"),
            ),
            1,
        ),
        (catalog("<</Type/Pages/Kids[3 0 R]/Count 1>>", LEAF, PdfStream("/Filter/FlateDecode", b"no")), 1),
    ],
    ids=[
        "tree in a circle",
        "circle of two",
        "a catalog for a tree",
        "count that lies",
        "form in itself",
        "two forms",
        "damaged content",
    ],
)
def test_what_runs_in_a_circle_or_lies_ends(content: bytes, pages: int) -> None:
    """pdfium follows no reference for ever; a page that is there is read."""
    assert read_all(content) == pages


def test_a_count_over_the_limit_is_refused_whatever_the_file_holds() -> None:
    """A page tree that states a million pages is taken at its word."""
    with pytest.raises(TooManyPages):
        read_all(catalog("<</Type/Pages/Kids[3 0 R]/Count 1000000>>", LEAF, PdfStream("", b"")))


@pytest.mark.parametrize("inner", ["[", "<<", "<</A["])
def test_nesting_without_end_is_bounded(inner: str) -> None:
    """A hundred thousand brackets cost neither the stack nor time."""
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        LEAF,
        (inner * 100_000).encode(),
    ]
    assert read_all(pdf_of_objects(objects)) == 1


def test_forms_nested_deeply_are_walked_within_bounds() -> None:
    """Two hundred forms, each inside the one before, are rendered."""
    objects: list[bytes | PdfStream] = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>", LEAF]
    for number in range(4, 204):
        resources = f"/Type/XObject/Subtype/Form/BBox[0 0 72 72]/Resources<</XObject<</X {number + 1} 0 R>>>>"
        objects.append(PdfStream(resources, b"/X Do"))
    objects.append(PdfStream("/Type/XObject/Subtype/Form/BBox[0 0 72 72]", b"0 0 72 72 re f"))
    assert read_all(pdf_of_objects(objects)) == 1


def test_a_page_of_many_objects_is_looked_at_within_bounds() -> None:
    """Of forty thousand objects under and over a scan, only so many are walked; such a page is rendered."""
    dot = b"BT 3 Tr /F1 9 Tf 9 9 Td (a) Tj ET "
    page = scan_page(image_stream(photo(400, 560), "DCTDecode"), size_pt=(300, 420), after=dot * 40_000)
    document = open_document(Source(pdf_of(page)), SMALL)
    assert document.plain_page(1) is None
    assert document.decode(1).steps[0].name == "render"


@pytest.mark.parametrize(
    "entries",
    [
        "/Width 0/Height 0",
        "/Width 400/Height 560/Length 0",
        "/Width 400/Height 560/BitsPerComponent 77",
        "/Width 400/Height 560/ColorSpace/Nothing",
        "/Width 400/Height 560/Filter[/FlateDecode/FlateDecode/FlateDecode]",
        "/Width 400/Height 560/Filter/JPXDecode",
    ],
)
def test_an_image_that_makes_no_sense_is_no_blank_page(entries: str) -> None:
    """A page whose only image cannot be decoded is refused; with something else on it, it is rendered without."""
    stream = PdfStream(f"/Type/XObject/Subtype/Image/ColorSpace/DeviceGray/BitsPerComponent 8{entries}", b"\1\2\3" * 99)
    assert read_all(pdf_of(scan_page(stream), scan_page(stream, after=b"9 9 99 99 re f"))) == 1


def test_an_image_of_less_than_nothing_is_too_large() -> None:
    """A negative width is what pdfium takes it for: billions of pixels, which are not drawn."""
    stream = PdfStream("/Type/XObject/Subtype/Image/ColorSpace/DeviceGray/BitsPerComponent 8/Width -5/Height 4", b"1")
    with pytest.raises(ImageTooLargePixels):
        open_document(Source(pdf_of(scan_page(stream))), SMALL).decode(1)


CUT_SCANS = {
    "rgb": image_stream(photo(400, 560)),
    "grey": image_stream(photo(400, 560).convert("L")),
    "two tones": image_stream(photo(400, 560).convert("1")),
    "fax": image_stream(photo(400, 560).convert("1"), "CCITTFaxDecode"),
    "jpeg 2000": image_stream(photo(400, 560), "JPXDecode"),
    "jpeg": image_stream(photo(400, 560), "DCTDecode"),
    "cmyk jpeg": image_stream(photo(400, 560).convert("CMYK"), "DCTDecode"),
}


@pytest.mark.parametrize("place", [None, "200 0 0 280 50 60"], ids=["whole page", "with margins"])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.95])
@pytest.mark.parametrize("name", CUT_SCANS)
def test_a_page_of_a_cut_scan_is_refused(name: str, share: float, place: str | None) -> None:
    """Of a page that is one image whose data break off, no half is given; the next page is read."""
    whole = CUT_SCANS[name]
    cut = PdfStream(whole.entries, whole.data[: int(len(whole.data) * share)])
    pages = [scan_page(stream, size_pt=(300, 420), matrix=place) for stream in (cut, whole)]
    document = open_document(Source(pdf_of(*pages)), SMALL)
    with pytest.raises(ImageUndecodable, match=r"damaged|cut short"):
        document.decode(1)
    assert document.decode(2).pixels.size


@pytest.mark.parametrize("colour", [0, 128, 255])
@pytest.mark.parametrize("name", ["FlateDecode", "CCITTFaxDecode", "JPXDecode", "DCTDecode"])
def test_a_page_of_one_colour_is_no_damage(name: str, colour: int) -> None:
    """A scan that is white, grey or black to its end is what it is."""
    mode = "1" if name.startswith("CCITT") else "L"
    picture = Image.new("L", (400, 560), colour).convert(mode, dither=Image.Dither.NONE)
    document = open_document(Source(pdf_of(scan_page(image_stream(picture, name), size_pt=(300, 420)))), SMALL)
    assert abs(float(document.decode(1).pixels.mean()) - np.asarray(picture.convert("L")).mean()) < 3


@pytest.mark.parametrize(("name", "end"), [("DCTDecode", 2), ("CCITTFaxDecode", 3)])
def test_a_white_page_whose_writer_left_the_end_mark_out_is_read(name: str, end: int) -> None:
    """Without an end mark, a white last row is believed."""
    picture = Image.new("1" if name.startswith("CCITT") else "L", (400, 560), 255)
    whole = image_stream(picture, name)
    cut = PdfStream(whole.entries, whole.data[:-end])
    pages = [scan_page(cut, size_pt=(300, 420), matrix=place) for place in (None, "200 0 0 280 50 60")]
    assert read_all(pdf_of(*pages)) == 2


def test_a_content_stream_that_inflates_a_thousandfold_is_read() -> None:
    """Sixteen megabytes of blanks in a few kilobytes are no reason to stop."""
    packed = zlib.compress(b" " * 16_000_000 + b"0 0 9 9 re f")
    content = catalog("<</Type/Pages/Kids[3 0 R]/Count 1>>", LEAF, PdfStream("/Filter/FlateDecode", packed))
    assert read_all(content) == 1


def _mixed() -> bytes:
    scan = image_stream(photo(200, 280), "DCTDecode")
    annotated = scan_page(scan, annotations=["<</Type/Annot/Subtype/Square/Rect[0 0 50 50]/C[1 0 0]>>"])
    return pdf_of(text_page("Hello"), scan_page(scan), annotated, text_page("world"))


def test_a_truncated_file_gives_whole_pages_or_none() -> None:
    """Cut anywhere, what is left is rebuilt as far as it goes; a JPEG that is cut is refused with its page."""
    content = _mixed()
    assert read_all(content) == 4
    for cut in range(1, len(content), len(content) // 60):
        try:
            assert read_all(content[:cut]) <= 4
        except REFUSALS:
            continue


@pytest.mark.parametrize(
    "make", [_mixed, lambda: pdf_of(text_page("a"), user_password="a")], ids=["mixed", "encrypted"]
)
def test_a_garbled_file_raises_only_expected_errors(make: Callable[[], bytes]) -> None:
    """Whatever bytes are changed, the answer is pages or a refusal, never a bug."""
    whole = make()
    random = np.random.default_rng(11)
    for _ in range(120):
        content = bytearray(whole)
        for at in random.integers(0, len(content), 5):
            content[at] = random.choice([0, 32, 40, 47, 60, 62, 91, 93, 127, 255])
        try:
            read_all(bytes(content), "a")
        except REFUSALS:
            continue


def test_a_page_of_nothing_is_white() -> None:
    """An empty page is one, not damage."""
    assert open_document(Source(pdf_of(PdfPage())), SMALL).decode(1).pixels.min() == 255
