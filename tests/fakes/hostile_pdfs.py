"""Hostile and odd PDF files, written object by object."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

from tests.fakes.hostile_file import (
    HEIGHT,
    INK_SHARES,
    LOCKED,
    NO_READABLE_FORMAT,
    TOO_MANY_PAGES,
    TOO_MANY_PIXELS,
    UNDECODABLE,
    WIDTH,
    HostileFile,
    Reads,
    Shares,
    deflated_zeros,
    either,
    marked_page,
    read_right,
    refused,
)
from tests.fakes.hostile_pdf_locks import Lock, locked_pdf
from tests.fakes.images import encoded

INK_CONTENT = b"0 g 20 40 40 30 re f"
"""The black box of ``marked_page``, on a page of 120 x 80 points."""
_PAGE = Reads(ink=INK_SHARES)
_ANY_LIMIT = UNDECODABLE | TOO_MANY_PIXELS
_FOR_EVER = UNDECODABLE
_BOX = b"[0 0 120 80]"


def pdf_of(objects: Sequence[bytes], *, trailer: bytes = b"", version: bytes = b"1.7") -> bytes:
    """A PDF of these objects, numbered from 1; the first is the catalogue."""
    out, places = b"%PDF-" + version + b"\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    tail = b"trailer\n<</Size %d/Root 1 0 R%b>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, trailer, len(out))
    return out + head + table + tail


def stream(data: bytes, entries: bytes = b"") -> bytes:
    """A stream object."""
    return b"<</Length %d%b>>stream\n%b\nendstream" % (len(data), entries, data)


def page_pdf(
    content: bytes = INK_CONTENT,
    *more: bytes,
    box: bytes = b"/MediaBox" + _BOX,
    resources: bytes = b"",
    page: bytes = b"",
    catalog: bytes = b"",
    entries: bytes = b"",
) -> bytes:
    """A PDF of one page. ``more`` are its objects from 5 on."""
    return pdf_of(
        [
            b"<</Type/Catalog/Pages 2 0 R%b>>" % catalog,
            b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
            b"<</Type/Page/Parent 2 0 R%b/Contents 4 0 R/Resources<<%b>>%b>>" % (box, resources, page),
            stream(content, entries),
            *more,
        ]
    )


def pdf_files() -> tuple[HostileFile, ...]:
    """All that take little time and memory."""
    return (*_odd(), *_boxes(), *_page_trees(), *_structures(), *_locked())


def costly_pdf_files() -> tuple[HostileFile, ...]:
    """Those made to take memory or time without end."""
    return (*_bombs(), *_endless())


def _odd() -> tuple[HostileFile, ...]:
    scan = encoded(marked_page(), "JPEG", quality=95)
    whole_page = b"q 120 0 0 80 0 0 cm /I Do Q"
    picture = b"/Type/XObject/Subtype/Image/Width 120/Height 80/BitsPerComponent 8"
    image = b"/XObject<</I 5 0 R>>"
    jpx = encoded(marked_page(), "JPEG2000")
    return (
        read_right("pdf of one page", page_pdf, _PAGE),
        read_right("pdf behind junk", lambda: b"junk\r\n" * 20 + page_pdf(), _PAGE),
        read_right("pdf before junk", lambda: page_pdf() + b"junk\n" * 50, _PAGE),
        read_right("pdf without its table", lambda: page_pdf().split(b"xref\n0")[0] + b"trailer<</Root 1 0 R>>", _PAGE),
        read_right("pdf turned by 90", lambda: page_pdf(page=b"/Rotate 90"), Reads(ink=_TURNED)),
        read_right("pdf turned by -270", lambda: page_pdf(page=b"/Rotate -270"), Reads(ink=_TURNED)),
        read_right("pdf turned by 45", lambda: page_pdf(page=b"/Rotate 45"), _PAGE),
        read_right(
            "pdf of a scan",
            lambda: page_pdf(
                whole_page, stream(scan, picture + b"/ColorSpace/DeviceRGB/Filter/DCTDecode"), resources=image
            ),
            _PAGE,
        ),
        refused(
            "pdf of a jpeg 2000 cut short",
            lambda: page_pdf(
                whole_page, stream(jpx[:400], picture + b"/ColorSpace/DeviceRGB/Filter/JPXDecode"), resources=image
            ),
        ),
        read_right(
            "pdf of a jpeg 2000",
            lambda: page_pdf(
                whole_page, stream(jpx, picture + b"/ColorSpace/DeviceRGB/Filter/JPXDecode"), resources=image
            ),
            _PAGE,
        ),
        read_right(
            "pdf that acts when opened",
            lambda: page_pdf(catalog=b"/OpenAction<</S/JavaScript/JS(while(true){})>>"),
            _PAGE,
        ),
        read_right("pdf that launches", lambda: page_pdf(page=b"/AA<</O<</S/Launch/F(calc.exe)>>>>"), _PAGE),
        read_right("pdf with an empty page", lambda: page_pdf(b""), Reads(levels=(254, 255))),
        either(
            "pdf of a truncated scan",
            lambda: page_pdf(
                whole_page, stream(scan[:300], picture + b"/ColorSpace/DeviceRGB/Filter/DCTDecode"), resources=image
            ),
        ),
        either(
            "pdf of a scan that states 65535 px",
            lambda: page_pdf(
                whole_page,
                stream(_stating_more(scan), picture + b"/ColorSpace/DeviceRGB/Filter/DCTDecode"),
                resources=image,
            ),
            _ANY_LIMIT,
        ),
    )


_TURNED: Shares = (40 / HEIGHT, 20 / WIDTH, 70 / HEIGHT, 60 / WIDTH)
"""The black box on a page that is turned clockwise."""


def _stating_more(jpeg: bytes) -> bytes:
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + struct.pack(">HH", 65535, 65535) + jpeg[at + 4 :]


def _boxes() -> tuple[HostileFile, ...]:
    def boxed(name: str, box: bytes, page: bytes = b"") -> HostileFile:
        return either(f"pdf of {name}", lambda: page_pdf(box=box, page=page), _ANY_LIMIT)

    return (
        read_right("pdf of a box from right to left", lambda: page_pdf(box=b"/MediaBox[120 80 0 0]"), _PAGE),
        read_right("pdf of no box", lambda: page_pdf(box=b""), Reads()),
        read_right("pdf of an inherited box that loops", lambda: page_pdf(box=b"", page=b"/MediaBox 3 0 R"), Reads()),
        boxed("a box of a billion points", b"/MediaBox[0 0 1000000000 1000000000]"),
        boxed("a box of 1e38 points", b"/MediaBox[0 0 100000000000000000000000000000000000000 80]"),
        boxed("a box of 200 inches", b"/MediaBox[0 0 14400 14400]"),
        boxed("a box of nan", b"/MediaBox[0 0 nan inf]"),
        boxed("a box of no area", b"/MediaBox[0 0 0 0]"),
        boxed("a box of a thousandth of a point", b"/MediaBox[0 0 0.001 0.001]"),
        boxed("a box of 1 x 14400 points", b"/MediaBox[0 0 1 14400]"),
        boxed("a box far from the origin", b"/MediaBox[-2000000000 -2000000000 2000000000 2000000000]"),
        boxed("a crop outside its box", b"/MediaBox[0 0 120 80]", b"/CropBox[500 500 900 900]"),
        boxed("a unit of a million points", b"/MediaBox[0 0 120 80]", b"/UserUnit 1000000"),
    )


def _page_trees() -> tuple[HostileFile, ...]:
    return (
        refused("pdf of 10 000 pages", _ten_thousand_pages, TOO_MANY_PAGES),
        either("pdf of one page 10 000 times", _one_page_often, TOO_MANY_PAGES | UNDECODABLE),
        either("pdf that states 10 000 pages", lambda: _stating_count(b"10000"), TOO_MANY_PAGES | UNDECODABLE),
        either("pdf that states 2^31 - 1 pages", lambda: _stating_count(b"2147483647"), TOO_MANY_PAGES | UNDECODABLE),
        either("pdf that states -1 pages", lambda: _stating_count(b"-1")),
        refused(
            "pdf without pages", lambda: pdf_of([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[]/Count 0>>"])
        ),
        refused("pdf whose pages contain themselves", _page_tree_loop, UNDECODABLE | TOO_MANY_PAGES),
        either("pdf whose pages nest 5000 deep", _deep_tree),
        read_right("pdf of sixty pages", lambda: _pages(60), Reads(60, ink=INK_SHARES)),
        refused("pdf whose catalogue is itself", lambda: pdf_of([b"1 0 R"])),
        refused("pdf without a catalogue", lambda: pdf_of([b"<</Type/Nothing>>"])),
    )


def _pages(count: int) -> bytes:
    kids = b" ".join(b"%d 0 R" % (number + 4) for number in range(count))
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 120 80]/Contents 3 0 R>>"
    tree = b"<</Type/Pages/Count %d/Kids[%b]>>" % (count, kids)
    return pdf_of([b"<</Type/Catalog/Pages 2 0 R>>", tree, stream(INK_CONTENT), *[page] * count])


def _ten_thousand_pages() -> bytes:
    return _pages(10_000)


def _one_page_often() -> bytes:
    tree = b"<</Type/Pages/Count 10000/Kids[" + b"3 0 R " * 10_000 + b"]>>"
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 120 80]>>"
    return pdf_of([b"<</Type/Catalog/Pages 2 0 R>>", tree, page])


def _stating_count(count: bytes) -> bytes:
    return page_pdf().replace(b"/Count 1>>", b"/Count %b>>" % count)


def _page_tree_loop() -> bytes:
    tree = b"<</Type/Pages/Count 2/Parent 2 0 R/Kids[2 0 R 2 0 R]>>"
    return pdf_of([b"<</Type/Catalog/Pages 2 0 R>>", tree])


def _deep_tree() -> bytes:
    nodes = [b"<</Type/Pages/Count 1/Parent %d 0 R/Kids[%d 0 R]>>" % (n + 1, n + 3) for n in range(5000)]
    page = b"<</Type/Page/Parent 5001 0 R/MediaBox[0 0 120 80]>>"
    return pdf_of([b"<</Type/Catalog/Pages 2 0 R>>", *nodes, page])


def _structures() -> tuple[HostileFile, ...]:
    return (
        either("pdf of arrays 100 000 deep", lambda: page_pdf(page=b"/Deep" + b"[" * 100_000 + b"]" * 100_000)),
        either(
            "pdf of dictionaries 100 000 deep",
            lambda: page_pdf(page=b"/Deep" + b"<</D" * 100_000 + b" 0" + b">>" * 100_000),
        ),
        either(
            "pdf of arrays 100 000 deep in its content", lambda: page_pdf(b"[" * 100_000 + b"]" * 100_000 + INK_CONTENT)
        ),
        either("pdf whose object streams extend one another", _object_stream_loop),
        either("pdf whose tables follow one another", lambda: _table_loop()),
        either("pdf whose length is itself", lambda: page_pdf().replace(b"/Length 20", b"/Length 4 0 R")),
        either("pdf whose length is 2^31 - 1", lambda: page_pdf().replace(b"/Length 20", b"/Length 2147483647")),
        either("pdf whose contents are itself", lambda: page_pdf().replace(b"/Contents 4 0 R", b"/Contents 3 0 R")),
        either("pdf of a million filters", lambda: page_pdf(entries=b"/Filter[" + b"/AHx" * 100_000 + b"]")),
        either(
            "pdf of a form that draws itself",
            lambda: page_pdf(b"/F Do", _form(b"/F Do", b"/XObject<</F 5 0 R>>"), resources=b"/XObject<</F 5 0 R>>"),
        ),
        either("pdf of a glyph that draws itself", _glyph_loop),
        either("pdf of a mask that masks itself", _mask_loop),
        refused("pdf that is its first line only", lambda: b"%PDF-1.7\n"),
        refused("pdf of noise", lambda: b"%PDF-1.7\n" + bytes(range(256)) * 400),
    )


def _form(content: bytes, resources: bytes = b"") -> bytes:
    return stream(content, b"/Type/XObject/Subtype/Form/BBox[0 0 120 80]/Resources<<%b>>" % resources)


def _object_stream_loop() -> bytes:
    packed = zlib.compress(b"6 0 7 10 <</A 7 0 R>> <</B 6 0 R>>")
    entries = b"/Type/ObjStm/N 2/First 9/Filter/FlateDecode/Extends %d 0 R"
    return page_pdf(INK_CONTENT, stream(packed, entries % 6), stream(packed, entries % 5), page=b"/X 6 0 R")


def _table_loop() -> bytes:
    content = page_pdf()
    at = content.rindex(b"xref\n0")
    return content.replace(b"/Root 1 0 R>>", b"/Root 1 0 R/Prev %d>>" % at)


def _glyph_loop() -> bytes:
    glyph = stream(b"1000 0 d0 BT /T 1 Tf (aaaa) Tj ET")
    font = (
        b"<</Type/Font/Subtype/Type3/FontBBox[0 0 1000 1000]/FontMatrix[.001 0 0 .001 0 0]/FirstChar 97/LastChar 97"
        b"/Widths[1000]/Encoding<</Differences[97/a]>>/CharProcs<</a 6 0 R>>/Resources<</Font<</T 5 0 R>>>>>>"
    )
    return page_pdf(b"BT /T 9 Tf (aaaa) Tj ET", font, glyph, resources=b"/Font<</T 5 0 R>>")


def _mask_loop() -> bytes:
    state = b"<</SMask<</S/Luminosity/G 6 0 R>>>>"
    group = stream(
        b"/G gs " + INK_CONTENT,
        b"/Subtype/Form/BBox[0 0 120 80]/Group<</S/Transparency>>/Resources<</ExtGState<</G 5 0 R>>>>",
    )
    return page_pdf(b"/G gs " + INK_CONTENT, state, group, resources=b"/ExtGState<</G 5 0 R>>")


def _bombs() -> tuple[HostileFile, ...]:
    flate = b"/Filter/FlateDecode"
    return (
        either("pdf of a gigabyte of content", lambda: page_pdf(deflated_zeros(1000), entries=flate)),
        either(
            "pdf of a flate bomb in a flate bomb",
            lambda: page_pdf(zlib.compress(deflated_zeros(4000)), entries=b"/Filter[/FlateDecode/FlateDecode]"),
        ),
        either("pdf of an image of 2.5 gigapixels", lambda: _image_bomb(50_000, b"/DeviceRGB", 8), _ANY_LIMIT),
        either("pdf of a bilevel image of 2.5 gigapixels", lambda: _image_bomb(50_000, b"/DeviceGray", 1), _ANY_LIMIT),
        either("pdf of a run-length bomb", lambda: page_pdf(b"\x81 " * 2_000_000, entries=b"/Filter/RunLengthDecode")),
        either("pdf of an image predicted by 2^31 columns", _predictor_bomb),
    )


def _image_bomb(side_px: int, space: bytes, bits: int) -> bytes:
    head = b"/Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace%b/BitsPerComponent %d/Filter/FlateDecode"
    picture = stream(deflated_zeros(100), head % (side_px, side_px, space, bits))
    return page_pdf(b"120 0 0 80 0 0 cm /I Do", picture, resources=b"/XObject<</I 5 0 R>>")


def _predictor_bomb() -> bytes:
    parameters = b"/Filter/FlateDecode/DecodeParms<</Predictor 12/Columns 2147483647/Colors 32/BitsPerComponent 16>>"
    return page_pdf(deflated_zeros(1), entries=parameters)


def _endless() -> tuple[HostileFile, ...]:
    return (
        either("pdf of forms that draw ten forms each", lambda: _laughs(10, 12), _FOR_EVER),
        either("pdf of patterns in patterns", _patterns, _FOR_EVER),
        either("pdf of a form with another one at its end", _form_behind_form, _FOR_EVER),
        either("pdf of a million tiny tiles", lambda: _tiles(b"0.01"), _FOR_EVER),
        either("pdf of a shading by program", _slow_shading, _FOR_EVER),
        either("pdf of a million saved states", lambda: page_pdf(b"q " * 1_000_000 + INK_CONTENT), _FOR_EVER),
        either(
            "pdf of a line of a million dashes",
            lambda: page_pdf(b"[0.00001 0.00001] 0 d 0 0 m 120 80 l S " * 1000),
            _FOR_EVER,
        ),
        either("pdf of a thousand blended groups", _groups, _FOR_EVER),
    )


def _laughs(each: int, levels: int) -> bytes:
    forms = [_form(b"/F Do " * each, b"/XObject<</F %d 0 R>>" % (number + 6)) for number in range(levels)]
    return page_pdf(b"/F Do", *forms, _form(INK_CONTENT), resources=b"/XObject<</F 5 0 R>>")


def _form_behind_form() -> bytes:
    """A form that draws itself, whose stream ends in the middle of a word: its parser takes memory without end."""
    resources = b"/XObject<</F 5 0 R>>"
    form = _form(b"/F Do", resources).replace(b"endstream", b"endstreXObject<</F 5 0 R>>>>>>stream\n/F Do\nendstream")
    return page_pdf(b"/F Do", form, resources=resources)


def _patterns() -> bytes:
    head = b"/Type/Pattern/PatternType 1/PaintType 1/TilingType 1/BBox[0 0 9 9]/XStep 1/YStep 1/Resources<<%b>>"
    paint = b"/Pattern cs /P scn 0 0 120 80 re f"
    cells = [stream(paint, head % (b"/Pattern<</P %d 0 R>>" % (number + 6))) for number in range(12)]
    return page_pdf(paint, *cells, stream(INK_CONTENT, head % b""), resources=b"/Pattern<</P 5 0 R>>")


def _tiles(step: bytes) -> bytes:
    head = b"/Type/Pattern/PatternType 1/PaintType 1/TilingType 1/BBox[0 0 99 99]/XStep %b/YStep %b/Resources<<>>"
    cell = stream(b"0 0 5 5 re f 1 1 7 7 re f", head % (step, step))
    return page_pdf(b"/Pattern cs /P scn 0 0 120 80 re f", cell, resources=b"/Pattern<</P 5 0 R>>")


def _slow_shading() -> bytes:
    program = b"{" + b"2 copy atan sin mul cvr sqrt exch " * 20_000 + b"pop 0 exch 0}"
    function = stream(program, b"/FunctionType 4/Domain[0 1 0 1]/Range[0 1 0 1 0 1]")
    shading = b"<</ShadingType 1/ColorSpace/DeviceRGB/Domain[0 1 0 1]/Matrix[120 0 0 80 0 0]/Function 6 0 R>>"
    return page_pdf(b"/S sh", shading, function, resources=b"/Shading<</S 5 0 R>>")


def _groups() -> bytes:
    group = stream(INK_CONTENT, b"/Subtype/Form/BBox[0 0 120 80]/Group<</S/Transparency/I true>>")
    state = b"<</BM/Luminosity/ca 0.5>>"
    return page_pdf(b"/G gs /F Do " * 3000, group, state, resources=b"/XObject<</F 5 0 R>>/ExtGState<</G 6 0 R>>")


def _locked() -> tuple[HostileFile, ...]:
    files: list[HostileFile] = []
    for lock in Lock:
        name = f"pdf locked by {lock.value}"
        files += [
            refused(f"{name}, without a password", lambda lock=lock: locked_pdf(lock), LOCKED),  # type: ignore[misc]
            HostileFile(f"{name}, wrong password", lambda lock=lock: locked_pdf(lock), None, LOCKED, "guess"),  # type: ignore[misc]
            HostileFile(f"{name}, right password", lambda lock=lock: locked_pdf(lock), _PAGE, password="secret"),  # type: ignore[misc]
            HostileFile(f"{name}, its owner's password", lambda lock=lock: locked_pdf(lock), _PAGE, password="owner"),  # type: ignore[misc]
            read_right(f"{name}, for its owner only", lambda lock=lock: locked_pdf(lock, b""), _PAGE),  # type: ignore[misc]
        ]
    unknown = b"/Encrypt<</Filter/Unheard/V 9>>/ID[<00><00>]"
    return (
        *files,
        refused(
            "pdf locked by an unknown way",
            lambda: page_pdf().replace(b"/Root 1 0 R>>", b"/Root 1 0 R" + unknown + b">>"),
            NO_READABLE_FORMAT | LOCKED,
        ),
    )
