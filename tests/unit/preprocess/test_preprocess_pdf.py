"""PDF documents: opened, counted, rendered at the right resolution."""

from __future__ import annotations

import numpy as np
import pytest

from preprocess_service.decoders.opening import open_document
from preprocess_service.decoders.paged_document import DecodedPage, DecodeWish, PagedDocument
from preprocess_service.errors import ImageTooLargePixels, ImageUndecodable, PasswordRequired, TooManyPages
from preprocess_service.model import Size, Source, SourceLimits
from tests.fakes.documents import PdfPage, PdfStream, image_stream, pdf_of, pdf_of_objects, scan_page, text_page
from tests.fakes.images import photo

LIMITS = SourceLimits()
INCH = 72.0
GREY = DecodeWish(grey=True)


def opened(content: bytes, password: str = "", limits: SourceLimits = LIMITS) -> PagedDocument:
    return open_document(Source(content, password), limits)


def decoded(page: PdfPage, wish: DecodeWish | None = None, limits: SourceLimits = LIMITS) -> DecodedPage:
    return opened(pdf_of(page), limits=limits).decode(1, wish or DecodeWish())


def step_of(page: DecodedPage) -> tuple[str, dict[str, str]]:
    (step,) = page.steps
    return step.name, dict(step.parameters)


def test_a_page_of_text_is_rendered_with_300_pixels_an_inch() -> None:
    """Black text on white, on as many pixels as the page has inches times 300, and the step says so."""
    page = decoded(text_page("Hello"))
    assert page.size == Size(2479, 3508)
    assert page.pixels.shape == (3508, 2479, 3)
    assert page.media_type == "application/pdf"
    assert step_of(page) == ("render", {"dpi": "300"})
    ink = np.argwhere(page.pixels[:, :, 0] < 128) * INCH / 300
    assert page.pixels[0, 0].tolist() == [255, 255, 255]
    assert (ink[:, 1].min(), ink[:, 1].max()) == pytest.approx((51, 77), abs=2)  # Hello of 12 points, 50 from the left
    assert (ink[:, 0].min(), ink[:, 0].max()) == pytest.approx((51, 60), abs=2)  # its foot 60 from the top


def test_a_page_is_rendered_in_grey_where_colour_is_of_no_use() -> None:
    """The grey page is the coloured one without its colour."""
    content = b"1 0 0 rg 100 100 200 200 re f BT 0 0 1 rg /F1 40 Tf 100 500 Td (Blue) Tj ET"
    colour, grey = decoded(PdfPage(content)), decoded(PdfPage(content), GREY)
    assert grey.pixels.ndim == 2
    luma = colour.pixels @ np.array([0.114, 0.587, 0.299])
    assert np.abs(grey.pixels - luma).mean() < 1
    assert colour.pixels[-600, 600].tolist() == [0, 0, 255]


def test_pages_are_read_in_any_order_each_with_its_own_size() -> None:
    """Each page comes by its number, with a JPEG on one passed on as it is."""
    scan = image_stream(photo(300, 400), "DCTDecode")
    document = opened(pdf_of(text_page("one"), scan_page(scan, size_pt=(300, 400)), text_page("3", size_pt=(72, 144))))
    assert document.page_count == 3
    assert [document.decode(number).size for number in (3, 1, 2, 3)] == [
        Size(300, 600),
        Size(2479, 3508),
        Size(300, 400),
        Size(300, 600),
    ]
    assert document.plain_page(1) is None
    assert document.plain_page(2) is not None
    document.close()
    document.close()


def test_many_pages_in_a_row_are_each_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A document is opened anew now and then, so that it does not grow; its pages and password stay the same."""
    monkeypatch.setattr("preprocess_service.decoders.pdf.document._REOPENED_AFTER_PAGES", 3)
    pages = [text_page(size_pt=(72, 72 + number)) for number in range(10)]
    document = opened(pdf_of(*pages, user_password="secret"), "secret")
    heights = [document.decode(number, GREY).size.height for number in (*range(1, 11), 1)]
    assert heights == [round((72 + number) * 300 / INCH + 0.01) for number in (*range(10), 0)]


def test_a_turned_and_cropped_page_is_rendered_as_a_viewer_shows_it() -> None:
    """/Rotate and /CropBox make what is seen; the box's top left corner comes to the top right."""
    page = decoded(PdfPage(b"10 110 20 30 re f", entries="/CropBox[10 10 110 140]/Rotate 90"))
    assert page.size == Size(542, 417)
    ink = np.argwhere(page.pixels[:, :, 0] < 128)
    assert ink.min(axis=0).tolist() == pytest.approx([0, 542 - 125], abs=1)
    assert (ink.max(axis=0) + 1).tolist() == pytest.approx([83, 542], abs=1)


@pytest.mark.parametrize(
    ("per_inch", "extra", "dpi"),
    [(72, b"", "150"), (200, b"", "200"), (600, b"", "400"), (200, b"BT /F1 9 Tf 50 50 Td (stamp) Tj ET", "300")],
)
def test_the_images_of_a_page_decide_its_resolution(per_inch: int, extra: bytes, dpi: str) -> None:
    """A page that is mainly images gets their resolution within bounds, and no less than text on it needs."""
    side_px = 4 * per_inch
    placed = f"q 288 0 0 288 0 0 cm /Im0 Do Q q 288 0 0 {288 / side_px} 0 10 cm /Im0 Do Q ".encode()
    image = image_stream(photo(side_px, side_px), "DCTDecode")
    page = PdfPage(placed + extra, media_box="[0 0 288 300]", drawn={"Im0": image})
    assert step_of(decoded(page)) == ("render", {"dpi": dpi})


@pytest.mark.parametrize(
    ("media_box", "limit", "size"),
    [
        ("[0 0 14400 14400]", 100_000_000, Size(8000, 8000)),
        ("[0 0 595 842]", 1_000_000, Size(840, 1189)),
        ("[0 0 10000000 10000000]", 100_000_000, Size(8000, 8000)),
        ("[0 0 100000 1]", 100_000_000, Size(30_000, 1)),
        ("[0 0 0.001 100]", 100_000_000, Size(1, 417)),
    ],
)
def test_a_huge_page_is_rendered_with_fewer_pixels(media_box: str, limit: int, size: Size) -> None:
    """Pixels stay within the limit and 64 megapixels, a side within 30 000, and none is without any."""
    page = decoded(PdfPage(media_box=media_box), GREY, SourceLimits(max_pixels=limit))
    assert page.size == size
    assert page.pixels.shape == (size.height, size.width)


@pytest.mark.parametrize("media_box", ["[0 0 0 0]", "[0 0 nan 100]", "[0 0 1e39 100]", "[]", "null", "[(a) /b 0 0]"])
def test_a_page_without_a_size_that_means_anything_is_letter(media_box: str) -> None:
    """pdfium takes US Letter for a MediaBox of no area, as viewers do."""
    assert decoded(PdfPage(media_box=media_box), GREY).size == Size(2550, 3300)


def test_a_box_that_is_stated_backwards_is_read() -> None:
    """Corners may come in any order."""
    assert decoded(PdfPage(media_box="[72 144 0 0]")).size == Size(300, 600)


def test_a_page_cropped_to_nothing_is_refused() -> None:
    """A CropBox outside the MediaBox leaves a page of 0 x 0 points."""
    with pytest.raises(ImageUndecodable, match="0 x 0 points"):
        decoded(PdfPage(entries="/CropBox[1000 1000 2000 2000]"))


def test_annotations_and_form_fields_are_drawn() -> None:
    """What a viewer shows on top of a page belongs to it."""
    drawn = "/Subtype/Form/BBox[0 0 72 72]"
    objects = [
        b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[5 0 R]>>>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 288 72]/Annots[4 0 R 5 0 R]>>",
        b"<</Type/Annot/Subtype/Square/F 4/Rect[0 0 72 72]/AP<</N 6 0 R>>>>",
        b"<</Type/Annot/Subtype/Widget/FT/Tx/T(a)/F 4/Rect[144 0 216 72]/AP<</N 6 0 R>>>>",
    ]
    page = opened(pdf_of_objects([*objects, _form(drawn)])).decode(1)
    assert page.pixels[150, 150].max() == 0
    assert page.pixels[150, 750].max() < 255
    assert page.pixels[150, 450].min() == 255


def _form(entries: str) -> PdfStream:
    return PdfStream(f"/Type/XObject{entries}", b"0 0 72 72 re f")


@pytest.mark.parametrize(
    ("user", "owner", "given"), [("secret", "", "secret"), ("secret", "own", "own"), ("", "own", "")]
)
def test_an_encrypted_document_opens_with_either_password(user: str, owner: str, given: str) -> None:
    """The user's and the owner's password open it; where there is only an owner's, none is needed."""
    content = pdf_of(text_page("Hello"), user_password=user, owner_password=owner)
    page = opened(content, given).decode(1)
    assert page.pixels.min() == 0


@pytest.mark.parametrize("given", ["", "wrong", "секрет", "x" * 5000])
def test_an_encrypted_document_needs_its_password(given: str) -> None:
    """Without one, or with a wrong one, it is refused by name; the error says which."""
    with pytest.raises(PasswordRequired) as caught:
        opened(pdf_of(text_page("Hello"), user_password="secret"), given)
    assert caught.value.given == bool(given)


def test_a_password_that_is_not_needed_does_no_harm() -> None:
    """Documents that are not encrypted are read with any."""
    assert opened(pdf_of(text_page("Hello")), "secret").page_count == 1


def test_too_many_pages_are_refused_before_one_is_rendered() -> None:
    """The count stands in the error."""
    content = pdf_of(*(text_page(str(number)) for number in range(12)))
    with pytest.raises(TooManyPages) as caught:
        opened(content, limits=SourceLimits(max_pages=11))
    assert caught.value.metadata == {"value": "12", "limit": "11", "unit": "pages"}


def test_an_image_of_too_many_pixels_is_refused_by_its_dictionary() -> None:
    """A page that draws a bomb is refused before it is rendered, and the next page is read."""
    bomb = PdfStream(
        "/Type/XObject/Subtype/Image/Width 60000/Height 60000/ColorSpace/DeviceGray/BitsPerComponent 8", b"\0" * 100
    )
    small = PdfPage(b"q 100 0 0 100 0 0 cm /Im0 Do Q", drawn={"Im0": bomb})
    document = opened(pdf_of(small, scan_page(bomb), text_page("Hello")))
    for number in (1, 2):
        with pytest.raises(ImageTooLargePixels):
            document.decode(number)
    assert document.decode(3).pixels.min() == 0


def test_a_header_may_stand_behind_other_bytes() -> None:
    """Up to 1024 bytes may precede it, as mail gateways leave them."""
    assert opened(b"\r\n" * 400 + pdf_of(text_page("Hello"))).page_count == 1
