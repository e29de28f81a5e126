"""Pictures of what was read."""

from __future__ import annotations

from pathlib import Path

import pillow_heif
import pytest
from PIL import Image

from ocrmux.ocr.v1.document_pb2 import CHECK_DIGIT_INVALID, Block, Field, Line, Page, Word
from ocrmux.ocr.v1.geometry_pb2 import Point, Polygon, Size
from ocrmux_client.annotate import Annotator, annotated, confidence_colour
from ocrmux_client.page_pictures import NotDrawable, page_picture
from tests.fakes.documents import PdfPage, pdf_of

EXIF_ORIENTATION = 0x0112


def box(x: float, y: float, width: float, height: float) -> Polygon:
    corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
    return Polygon(points=[Point(x=left, y=top) for left, top in corners])


def page(size: tuple[int, int], polygon: Polygon, confidence: float | None = 0.99, number: int = 1) -> Page:
    line = Line(text="x", polygon=polygon, confidence=confidence)
    return Page(number=number, size=Size(width=size[0], height=size[1]), blocks=[Block(lines=[line])])


def is_greenish(pixel: object) -> bool:
    assert isinstance(pixel, tuple)
    return bool(pixel[1] > pixel[0] + 60 and pixel[1] > pixel[2] + 20)


def test_the_outline_stands_where_the_box_is() -> None:
    """On the box's edges the picture is coloured, inside washed, outside untouched, and its size is the page's."""
    picture = annotated(Image.new("RGB", (400, 300), "white"), page((400, 300), box(100, 80, 200, 100)))
    assert picture.size == (400, 300)
    for x, y in ((200, 80), (200, 179), (100, 150), (299, 130)):
        near = [picture.getpixel((x + dx, y + dy)) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
        assert any(is_greenish(pixel) for pixel in near)
    assert picture.getpixel((200, 130)) not in {(255, 255, 255), (22, 150, 84)}
    assert picture.getpixel((350, 250)) == (255, 255, 255)
    assert picture.getpixel((200, 70)) == (255, 255, 255)


def test_confidence_is_told_by_colour() -> None:
    """Red, amber, green; blue where none is stated."""
    low, middle, high = (confidence_colour(value) for value in (0.2, 0.785, 1.0))
    assert low[0] > 200
    assert low[1] < 60
    assert middle == (232, 160, 20)
    assert high == (22, 150, 84)
    assert confidence_colour(None)[2] > 200


def test_the_box_follows_the_exif_orientation(tmp_path: Path) -> None:
    """A photo that is stored lying is drawn upright, as its coordinates count."""
    stored = Image.new("RGB", (300, 200), "white")
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    stored.save(tmp_path / "lying.jpg", exif=exif)
    target = Annotator(tmp_path / "out", tmp_path).draw(
        tmp_path / "lying.jpg", page((200, 300), box(40, 200, 100, 60)), 1
    )
    with Image.open(target) as drawn:
        assert drawn.size == (200, 300)
        assert any(is_greenish(drawn.getpixel((90, 200 + dy))) for dy in (-1, 0, 1))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_kind_of_image_can_be_drawn_on(mode: str, tmp_path: Path) -> None:
    """Bilevel, grey, palette, transparent, CMYK and 16-bit sources become a colour picture."""
    source = tmp_path / "source.tif"
    Image.new(mode, (200, 100)).save(source)
    target = Annotator(tmp_path / "out", tmp_path).draw(source, page((200, 100), box(20, 20, 100, 40)), 1)
    with Image.open(target) as drawn:
        assert (drawn.mode, drawn.size) == ("RGB", (200, 100))
        assert any(is_greenish(drawn.getpixel((70, 20 + dy))) for dy in (-1, 0, 1))


def test_each_page_of_a_tiff_is_drawn_on_its_own_picture(tmp_path: Path) -> None:
    """Page 2 has the size and the box of page 2."""
    source = tmp_path / "two.tif"
    second = Image.new("RGB", (240, 160), "white")
    Image.new("RGB", (100, 50), "white").save(source, save_all=True, append_images=[second])
    target = Annotator(tmp_path / "out", tmp_path).draw(source, page((240, 160), box(50, 50, 100, 50), number=2), 2)
    assert target.name == "two.tif.page-2.png"
    with Image.open(target) as drawn:
        assert drawn.size == (240, 160)


def test_names_are_recognisable_and_unique(tmp_path: Path) -> None:
    """The path below the root makes the name; what could be confused carries a digest."""
    annotator = Annotator(tmp_path / "out", tmp_path)
    given = []
    for name in ("a/b.png", "a__b.png", "a_/b.png", "a/_b.png", "deep/er/b.png"):
        source = tmp_path / name
        source.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (50, 50)).save(source)
        given.append(annotator.draw(source, page((50, 50), box(5, 5, 20, 10)), 1).name)
    assert given[0] == "a__b.png.png"
    assert given[4] == "deep__er__b.png.png"
    assert len(set(given)) == len(given)


def test_big_photos_become_jpeg(tmp_path: Path) -> None:
    """Above 4 megapixels a PNG would be slow and large."""
    source = tmp_path / "big.png"
    Image.new("L", (2500, 1700), 255).save(source)
    target = Annotator(tmp_path, tmp_path).draw(source, page((2500, 1700), box(100, 100, 900, 60)), 1)
    assert target.suffix == ".jpg"


@pytest.mark.parametrize("side_px", [400, 2400])
def test_words_are_outlined_inside_their_line(side_px: int) -> None:
    """A word's edges show on the line's wash, fainter than the line's own outline, on small and large pages."""
    half, size = side_px // 2, (side_px, side_px)
    bare = page(size, box(50, 80, side_px - 100, 60))
    worded = page(size, box(50, 80, side_px - 100, 60))
    worded.blocks[0].lines[0].words.append(Word(text="x", confidence=0.99, polygon=box(half, 85, 60, 50)))
    blank = Image.new("RGB", size, "white")
    without, with_words = annotated(blank, bare), annotated(blank, worded)
    wash = red(without, half, 110)
    edges = [min(red(with_words, x, 110) for x in (edge - 1, edge)) for edge in (half, half + 60)]
    assert 200 < wash < 250
    assert red(with_words, half + 30, 110) == wash
    assert max(edges) < wash - 40
    assert min(red(with_words, x, 110) for x in (49, 50)) < min(edges) - 20


def red(picture: Image.Image, x: int, y: int) -> float:
    """The red of a pixel: the less, the more of a green line covers it."""
    pixel = picture.getpixel((x, y))
    assert isinstance(pixel, tuple)
    return pixel[0]


def test_labels_and_words_stay_inside_the_picture() -> None:
    """A line that fills a tiny image, with words, is drawn without an error."""
    tiny = page((30, 12), box(0, 0, 30, 12), None)
    tiny.blocks[0].lines[0].words.append(Word(text="x", polygon=box(0, 0, 10, 12)))
    tiny.blocks[0].lines.append(Line(text="no place"))
    assert annotated(Image.new("RGB", (30, 12), "white"), tiny).size == (30, 12)


def ink_on(picture: Image.Image) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what is dark on it."""
    return picture.convert("L").point(lambda value: 255 if value < 100 else 0).getbbox() or (0, 0, 0, 0)


DRAWN = PdfPage(content=b"0 g 144 504 216 72 re f", media_box="[0 0 612 792]")
TURNED = PdfPage(content=b"0 g 144 504 216 72 re f", media_box="[0 0 612 792]", entries="/Rotate 90")


@pytest.mark.parametrize(
    ("size", "number", "expected"),
    [
        ((1224, 1584), 1, (288, 432, 720, 576)),
        ((613, 793), 1, (144, 216, 361, 289)),
        ((1584, 1224), 2, (1008, 288, 1152, 720)),
    ],
)
def test_a_pdf_page_is_drawn_at_the_size_of_its_answer(
    size: tuple[int, int], number: int, expected: tuple[int, int, int, int], tmp_path: Path
) -> None:
    """Whatever the services rendered it at, and turned as its page says, so that boxes lie on the ink."""
    source = tmp_path / "a.pdf"
    source.write_bytes(pdf_of(DRAWN, TURNED))
    picture = page_picture(source, number, Size(width=size[0], height=size[1]))
    assert (picture.size, picture.mode) == (size, "RGB")
    assert ink_on(picture) == pytest.approx(expected, abs=2)
    target = Annotator(tmp_path / "out", tmp_path).draw(source, page(size, box(10, 10, 50, 20), number=number), 2)
    assert target.name.startswith(f"a.pdf.page-{number}.")


def test_an_encrypted_pdf_is_drawn_with_its_password(tmp_path: Path) -> None:
    """With the password that it was read with; without one it is told that it cannot be."""
    source = tmp_path / "locked.pdf"
    source.write_bytes(pdf_of(DRAWN, user_password="open sesame"))
    answered = page((612, 792), box(144, 216, 216, 72))
    target = Annotator(tmp_path / "out", tmp_path, "open sesame").draw(source, answered, 1)
    with Image.open(target) as drawn:
        assert drawn.size == (612, 792)
    with pytest.raises(NotDrawable, match=r"locked\.pdf"):
        Annotator(tmp_path / "out", tmp_path).draw(source, answered, 1)


@pytest.mark.parametrize("suffix", ["heic", "avif"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_photo_of_a_phone_is_drawn_upright(suffix: str, orientation: int, tmp_path: Path) -> None:
    """HEIC and AVIF, lying or upright in the file, as their coordinates count."""
    upright = Image.new("RGB", (200, 300), "white")
    upright.paste("black", (40, 200, 140, 260))
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    source = tmp_path / f"photo.{suffix}"
    if suffix == "heic":
        pillow_heif.from_pillow(stored).save(source, quality=95, exif=exif.tobytes())
    else:
        stored.save(source, quality=90, exif=exif)
    picture = page_picture(source, 1, Size(width=200, height=300))
    assert picture.size == (200, 300)
    assert ink_on(picture) == pytest.approx((40, 200, 140, 260), abs=2)


@pytest.mark.parametrize("content", [b"%PDF-1.7", b"no image at all", b"\0\0\0\x18ftypheic" + bytes(40), b""])
def test_what_is_no_picture_is_told(content: bytes, tmp_path: Path) -> None:
    """A file that cannot be read is NotDrawable, or an OSError, never anything else."""
    source = tmp_path / "x.pdf"
    source.write_bytes(content)
    with pytest.raises((NotDrawable, OSError)):
        Annotator(tmp_path, tmp_path).draw(source, page((50, 50), box(5, 5, 20, 10)), 1)


def test_a_page_that_the_file_does_not_have_is_told(tmp_path: Path) -> None:
    """Of a TIFF and of a PDF, and a size that no answer has."""
    Image.new("L", (20, 20)).save(tmp_path / "one.tif")
    (tmp_path / "one.pdf").write_bytes(pdf_of(DRAWN))
    for name, size, number in (("one.tif", (20, 20), 4), ("one.pdf", (612, 792), 2), ("one.pdf", (99999, 9999), 1)):
        with pytest.raises(NotDrawable, match=name):
            page_picture(tmp_path / name, number, Size(width=size[0], height=size[1]))
    with pytest.raises(NotDrawable, match="no size"):
        page_picture(tmp_path / "one.pdf", 1, Size())


def test_a_field_whose_check_digit_does_not_hold_is_red() -> None:
    """So is the box of all that stands at its place; others are teal."""
    good, bad = box(150, 40, 100, 40), box(150, 140, 100, 40)
    fields = [
        Field(name="name", polygon=good),
        Field(name="card_type", polygon=bad),
        Field(name="card_number", polygon=bad, check_digit=CHECK_DIGIT_INVALID),
    ]
    drawn = annotated(
        Image.new("RGB", (400, 300), "white"), Page(number=1, size=Size(width=400, height=300), fields=fields)
    )
    seen = [[drawn.getpixel((200, y + dy)) for dy in (-1, 0, 1)] for y in (40, 140)]
    assert any(isinstance(pixel, tuple) and pixel[2] > pixel[0] + 80 for pixel in seen[0])
    assert any(isinstance(pixel, tuple) and pixel[0] > pixel[2] + 80 for pixel in seen[1])


def test_a_fields_name_hides_no_other_field() -> None:
    """A name that would stand on the field before its own goes above; that field shows nothing but its wash."""
    fields = [
        Field(name="a", polygon=box(100, 100, 140, 30)),
        Field(name="document_number", polygon=box(242, 100, 140, 30)),
    ]
    drawn = annotated(
        Image.new("RGB", (400, 200), "white"), Page(number=1, size=Size(width=400, height=200), fields=fields)
    )
    inside = {drawn.getpixel((x, y)) for x in range(105, 235) for y in range(105, 125)}
    assert len(inside) == 1
    assert drawn.getpixel((255, 97)) != (255, 255, 255)
