"""A PDF page that is one scan is that scan, byte for byte or pixel for pixel; any other is rendered."""

from __future__ import annotations

import io
import zlib

import cv2
import numpy as np
import pypdfium2
import pytest
from PIL import Image

from preprocess_service.decoders.opening import open_document
from preprocess_service.decoders.paged_document import DecodedPage, DecodeWish, Pixels, PlainPage
from preprocess_service.errors import ImageTooLargePixels, ImageUndecodable
from preprocess_service.model import Size, Source, SourceLimits
from tests.fakes.documents import PdfPage, PdfStream, image_stream, pdf_of, scan_page
from tests.fakes.images import bgr_of, encoded, photo

LIMITS = SourceLimits()
SIZE_PT = (300.0, 420.0)
PICTURE = photo(400, 560)
JPEG_SCAN = image_stream(PICTURE, "DCTDecode")
TWO_TONE = PICTURE.convert("L").point(lambda value: 255 if value > 128 else 0).convert("1")
STAMP = b"BT /F1 60 Tf 30 200 Td (PAID) Tj ET"
HIDDEN_TEXT = b"BT 3 Tr /F1 60 Tf 30 200 Td (PAID) Tj ET"


def page_of(page: PdfPage, wish: DecodeWish | None = None) -> DecodedPage:
    return open_document(Source(pdf_of(page)), LIMITS).decode(1, wish or DecodeWish())


def plain(page: PdfPage) -> PlainPage | None:
    return open_document(Source(pdf_of(page)), LIMITS).plain_page(1)


def how(page: DecodedPage) -> str:
    (step,) = page.steps
    return step.name


def turned(page: DecodedPage) -> Pixels:
    """The pixels as a viewer shows them, by the page's orientation."""
    pixels = page.pixels if page.pixels.ndim == 3 else page.pixels[:, :, None].repeat(3, 2)
    if page.orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if page.orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if page.orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def rendering_of(page: PdfPage, like: Pixels) -> Pixels:
    """What pdfium draws of the page, at the size of the pixels given."""
    document = pypdfium2.PdfDocument(pdf_of(page))
    try:
        scale = like.shape[1] / document[0].get_width()
        drawn = document[0].render(scale=scale).to_numpy()
        shown: Pixels = cv2.resize(drawn, (like.shape[1], like.shape[0]), interpolation=cv2.INTER_AREA).astype(np.uint8)
        return shown
    finally:
        document.close()


def scan(stream: PdfStream = JPEG_SCAN, **options: object) -> PdfPage:
    return scan_page(stream, size_pt=SIZE_PT, **options)  # type: ignore[arg-type]


def test_a_jpeg_that_is_the_page_is_passed_on() -> None:
    """The page's file is the JPEG as it was put in, and its pixels are that JPEG's."""
    found = plain(scan())
    assert found is not None
    assert (found.media_type, found.width, found.height) == ("image/jpeg", 400, 560)
    assert found.content == JPEG_SCAN.data
    look, reduction = found.look(100)
    assert (look.shape, reduction) == ((140, 100), 4)
    page = page_of(scan())
    assert page.steps[0].name == "extract"
    assert dict(page.steps[0].parameters) == {"filter": "DCTDecode", "dpi": "96"}
    assert not page.is_lossless
    assert np.array_equal(page.pixels, open_document(Source(JPEG_SCAN.data), LIMITS).decode(1).pixels)


def test_a_jpeg_scan_is_decoded_as_wished() -> None:
    """Grey and reduced decoding hold for a JPEG in a PDF too."""
    page = page_of(scan(), DecodeWish(grey=True, max_reduction=2))
    assert page.pixels.shape == (280, 200)
    assert (page.size, page.reduction) == (Size(400, 560), 2)


@pytest.mark.parametrize("mode", ["RGB", "L", "1"])
def test_files_that_pillow_writes_are_taken_out(mode: str) -> None:
    """A PDF made of images by Pillow, two-tone ones as CCITT, gives these images."""
    pictures = [photo(200, 300, seed=seed).convert(mode) for seed in (1, 2)]
    content = encoded(pictures[0], "PDF", save_all=True, append_images=pictures[1:], resolution=150)
    document = open_document(Source(content), LIMITS)
    assert document.page_count == 2
    for number, picture in enumerate(pictures, 1):
        page = document.decode(number)
        assert how(page) == "extract"
        assert page.steps[0].parameters["dpi"] == "150"
        assert page.is_two_tone == (mode == "1")
        assert (document.plain_page(number) is not None) == (mode != "1")
        expected = bgr_of(picture) if mode == "RGB" else np.asarray(picture.convert("L"))
        assert np.abs(page.pixels.astype(int) - expected).mean() < (0.01 if mode == "1" else 3)


def _kinds() -> dict[str, tuple[PdfStream, bool]]:
    """Images as PDFs hold them, each with whether it is two-tone."""
    indexed = PICTURE.quantize(16)
    table = bytes(indexed.getpalette() or ())[:48].hex()
    stencil = image_stream(TWO_TONE)
    grey = image_stream(PICTURE.convert("L"))
    return {
        "grey jpeg": (image_stream(PICTURE.convert("L"), "DCTDecode"), False),
        "cmyk jpeg": (image_stream(PICTURE.convert("CMYK"), "DCTDecode", extra="/Decode[1 0 1 0 1 0 1 0]"), False),
        "inverted jpeg": (image_stream(PICTURE, "DCTDecode", extra="/Decode[1 0 1 0 1 0]"), False),
        "rgb": (image_stream(PICTURE), False),
        "inverted rgb": (image_stream(PICTURE, extra="/Decode [ 1 0 1 0 1 0 ]"), False),
        "grey": (grey, False),
        "cmyk": (image_stream(PICTURE.convert("CMYK")), False),
        "jpeg 2000": (image_stream(PICTURE, "JPXDecode"), False),
        "indexed": (
            PdfStream(
                grey.entries.replace("/DeviceGray", f"[/Indexed/DeviceRGB 15<{table}>]"),
                zlib.compress(indexed.tobytes()),
            ),
            False,
        ),
        "coloured two-tone": (
            PdfStream(stencil.entries.replace("/DeviceGray", "[/Indexed/DeviceRGB 1<ff000000ff00>]"), stencil.data),
            False,
        ),
        "two-tone": (stencil, True),
        "inverted two-tone": (image_stream(TWO_TONE, extra="/Decode[1 0]"), True),
        "group 4": (image_stream(TWO_TONE, "CCITTFaxDecode"), True),
        "inverted group 4": (image_stream(TWO_TONE, "CCITTFaxDecode", extra="/Decode[1 0]"), True),
        "stencil": (
            PdfStream(stencil.entries.replace("/ColorSpace /DeviceGray", "/ImageMask true"), stencil.data),
            True,
        ),
    }


KINDS = _kinds()


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_scan_looks_as_the_page_does(name: str) -> None:
    """Taken out, the pixels are those that pdfium draws of the page; two tones stay two."""
    stream, is_two_tone = KINDS[name]
    page = page_of(scan(stream))
    assert how(page) == "extract"
    assert page.size == Size(400, 560)
    assert page.is_two_tone == is_two_tone
    assert page.pixels.ndim == (2 if is_two_tone or name in ("grey", "grey jpeg") else 3)
    assert np.abs(turned(page).astype(int) - rendering_of(scan(stream), turned(page))).mean() < 3
    assert (plain(scan(stream)) is not None) == (name == "grey jpeg")
    assert page_of(scan(stream), DecodeWish(grey=True)).pixels.ndim == 2


@pytest.mark.parametrize("turns", [0, 90, 180, 270])
@pytest.mark.parametrize(
    "matrix", [None, "0 420 -300 0 300 0", "-300 0 0 -420 300 420", "0 -420 300 0 0 420", "-300 0 0 420 300 0"]
)
def test_a_turned_or_mirrored_scan_is_oriented_as_the_page_shows_it(turns: int, matrix: str | None) -> None:
    """Quarter turns by the page and by the image, and mirroring, become one orientation; only upright is passed on."""
    sideways = matrix is not None and matrix.startswith("0")
    stream = image_stream(photo(560, 400) if sideways else PICTURE, "DCTDecode")
    shown = scan(stream, matrix=matrix, entries=f"/Rotate {turns}")
    page = page_of(shown)
    assert how(page) == "extract"
    assert np.abs(turned(page).astype(int) - rendering_of(shown, turned(page))).mean() < 3
    assert (plain(shown) is not None) == (page.orientation == 1)


FORM = "/Type/XObject/Subtype/Form/BBox[0 0 1 1]/Matrix[300 0 0 420 0 0]/Resources<</XObject<</Im1 4 0 R>>>>"


@pytest.mark.parametrize(
    "page",
    [
        scan(before=b"1 1 1 rg 0 0 300 420 re f"),
        scan(before=STAMP),
        scan(after=HIDDEN_TEXT),
        scan(after=b"q BT 3 Tr /F1 9 Tf 30 200 Td (a) Tj (b) Tj ET Q 0 0 300 420 re n"),
        scan(after=b"BT /F1 60 Tf 30 -200 Td (below the page) Tj ET"),
        scan(before=b"q 0 0 300 420 re W n", after=b"Q"),
        scan(annotations=["<</Type/Annot/Subtype/Link/Rect[0 0 50 50]>>"]),
        scan(annotations=["<</Type/Annot/Subtype/Square/Rect[0 0 50 50]/F 2>>"]),
        scan(matrix="301 0 0 421 -0.5 -0.5"),
        PdfPage(b"/Fm0 Do", "[0 0 300 420]", drawn={"Im0": JPEG_SCAN, "Fm0": PdfStream(FORM, b"/Im1 Do")}),
    ],
    ids=[
        *("a white ground", "text under the scan", "invisible text", "an empty path", "text off the page"),
        *("a clip round the page", "a link", "a hidden annotation", "rounded points", "in a form"),
    ],
)
def test_what_does_not_show_changes_nothing(page: PdfPage) -> None:
    """A scan stays one whatever lies under it, invisibly over it, or off the page."""
    found = plain(page)
    assert found is not None
    assert found.content == JPEG_SCAN.data


OPTIONAL = "/Properties<</MC0<</Type/OCG/Name(a)>>>>"
SOFT = "/ExtGState<</G0<</ca 0.5>>/G1<</BM/Multiply>>>>"


@pytest.mark.parametrize(
    "page",
    [
        scan(after=STAMP),
        scan(after=b"1 0 0 rg 10 10 50 50 re f"),
        scan(after=b"q 50 0 0 50 10 10 cm /Im0 Do Q"),
        scan(after=b"q 50 0 0 50 10 10 cm BI /W 1 /H 1 /BPC 8 /CS /G ID a EI Q"),
        scan(matrix="200 0 0 280 50 70"),
        scan(matrix="299 20 -20 420 0 0"),
        scan(before=b"q 50 50 100 100 re W n", after=b"Q"),
        scan(before=b"q 0 0 m 300 0 l 150 420 l h W n", after=b"Q"),
        scan(before=b"/G0 gs", resources=SOFT),
        scan(before=b"/G1 gs", resources=SOFT),
        scan(before=b"/OC /MC0 BDC", after=b"EMC", resources=OPTIONAL),
        scan(annotations=["<</Type/Annot/Subtype/Square/Rect[0 0 50 50]/C[1 0 0]>>"]),
        scan(image_stream(PICTURE, "DCTDecode", extra="/SMask 99 0 R")),
        scan(image_stream(PICTURE, "DCTDecode", extra="/Mask[0 9 0 9 0 9]")),
        scan(image_stream(photo(400, 280), "DCTDecode")),
        PdfPage(media_box="[0 0 300 420]"),
    ],
    ids=[
        *("text on top", "a box on top", "another image", "an inline image", "margins", "leaning", "a clip", "a wedge"),
        *("half transparent", "multiplied", "optional content", "an annotation", "a soft mask", "a colour mask"),
        *("pixels that are not square", "nothing"),
    ],
)
def test_a_page_that_is_more_than_its_scan_is_rendered(page: PdfPage) -> None:
    """Whatever shows besides the image, or may change it, makes the page one to be rendered."""
    assert plain(page) is None
    assert how(page_of(page)) == "render"


def test_a_fill_other_than_black_makes_a_stencil_a_rendering() -> None:
    """A stencil says where to paint; only in black is it the page."""
    stream, _ = KINDS["stencil"]
    assert how(page_of(scan(stream, before=b"1 0 0 rg"))) == "render"
    assert page_of(scan(stream, before=b"1 0 0 rg")).pixels[:, :, 2].min() == 255


def test_the_scan_of_an_encrypted_document_is_rendered() -> None:
    """Its dictionary is not found by the data, so that nothing is sure about it."""
    document = open_document(Source(pdf_of(scan(), owner_password="own")), LIMITS)
    assert document.plain_page(1) is None
    assert how(document.decode(1)) == "render"


def test_the_exif_data_of_a_jpeg_turn_no_page() -> None:
    """A PDF's own geometry counts; such a JPEG, which would be turned once more, is not passed on."""
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = PdfStream(JPEG_SCAN.entries, encoded(PICTURE, "JPEG", exif=exif))
    assert plain(scan(stream)) is None
    page = page_of(scan(stream))
    assert (how(page), page.orientation) == ("extract", 1)
    assert page.pixels.shape == (560, 400, 3)


def test_a_jpeg_without_its_end_mark_is_read() -> None:
    """Some writers leave the mark out; no pixel lacks. A JPEG that is cut short is refused."""
    whole = PdfStream(JPEG_SCAN.entries, JPEG_SCAN.data[:-2])
    found = plain(scan(whole))
    assert found is not None
    assert found.content == JPEG_SCAN.data
    cut = scan(PdfStream(JPEG_SCAN.entries, JPEG_SCAN.data[: len(JPEG_SCAN.data) // 2]))
    with pytest.raises(ImageUndecodable, match="ends before its last row"):
        page_of(cut)
    found = plain(cut)
    assert found is not None
    with pytest.raises(ImageUndecodable, match="ends before its last row"):
        found.look(1)


def test_a_scan_of_too_many_pixels_is_refused_by_its_header() -> None:
    """The limit holds for scans as for files of their own."""
    document = open_document(Source(pdf_of(scan())), SourceLimits(max_pixels=400 * 560 - 1))
    with pytest.raises(ImageTooLargePixels):
        document.plain_page(1)


def test_one_image_on_many_pages_is_found_on_each() -> None:
    """Pages that share a scan, and pages of equal scans, are all passed on."""
    twin = PdfStream(JPEG_SCAN.entries, bytes(bytearray(JPEG_SCAN.data)))
    document = open_document(Source(pdf_of(scan(), scan(twin), scan())), LIMITS)
    for number in (3, 2, 1):
        found = document.plain_page(number)
        assert found is not None
        assert Image.open(io.BytesIO(found.content)).size == (400, 560)
