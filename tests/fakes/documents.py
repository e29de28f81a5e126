"""PDF files written object by object, so that a page can hold and state anything; HEIC and GIF files."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pillow_heif
from PIL import Image

from tests.fakes.images import EXIF_ORIENTATION, stored_as

A4_PT = (595.0, 842.0)
_PADDING = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")
_FILE_ID = b"0123456789abcdef"


@dataclass(frozen=True, slots=True)
class PdfStream:
    """A stream: its dictionary's entries without /Length, and its data as they stand in the file."""

    entries: str
    data: bytes


@dataclass(frozen=True, slots=True)
class PdfPage:
    """One page: what its dictionary states, its content stream, and the objects that it draws by name."""

    content: bytes = b""
    media_box: str = f"[0 0 {A4_PT[0]:g} {A4_PT[1]:g}]"
    entries: str = ""
    drawn: Mapping[str, PdfStream] = field(default_factory=dict)
    resources: str = ""
    annotations: Sequence[str] = ()


def pdf_of(*pages: PdfPage, catalog: str = "", user_password: str = "", owner_password: str = "") -> bytes:
    """A PDF of these pages. With a password it is encrypted by RC4 of 40 bits, the oldest way.

    Helvetica is there as /F1. Names in ``drawn`` are the pages' own; objects are numbered as they are written.
    """
    objects: list[bytes | PdfStream] = [b"", b"", b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
    numbers: dict[int, int] = {}
    kids: list[int] = []
    for page in pages:
        names = []
        for name, stream in page.drawn.items():
            if id(stream) not in numbers:
                objects.append(stream)
                numbers[id(stream)] = len(objects)
            names.append(f"/{name} {numbers[id(stream)]} 0 R")
        objects.append(PdfStream("", page.content))
        content = len(objects)
        annotations = []
        for annotation in page.annotations:
            objects.append(annotation.encode("latin-1"))
            annotations.append(f"{len(objects)} 0 R")
        resources = f"<</Font<</F1 3 0 R>>/XObject<<{''.join(names)}>>{page.resources}>>"
        objects.append(
            f"<</Type/Page/Parent 2 0 R/MediaBox {page.media_box}/Resources {resources}/Contents {content} 0 R"
            f"/Annots[{' '.join(annotations)}]{page.entries}>>".encode("latin-1")
        )
        kids.append(len(objects))
    objects[0] = f"<</Type/Catalog/Pages 2 0 R{catalog}>>".encode("latin-1")
    listed = " ".join(f"{kid} 0 R" for kid in kids)
    objects[1] = f"<</Type/Pages/Kids[{listed}]/Count {len(kids)}>>".encode("latin-1")
    return pdf_of_objects(objects, user_password=user_password, owner_password=owner_password)


def pdf_of_objects(
    objects: Sequence[bytes | PdfStream], *, user_password: str = "", owner_password: str = "", root: int = 1
) -> bytes:
    """A PDF of these objects, numbered from 1, with a table of where they are."""
    lock = _Lock(user_password, owner_password) if user_password or owner_password else None
    body = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(body))
        body += f"{number} 0 obj\n".encode()
        if isinstance(content, PdfStream):
            data = lock.encrypted(number, content.data) if lock else content.data
            body += f"<<{content.entries}/Length {len(data)}>>\nstream\n".encode("latin-1") + data + b"\nendstream"
        else:
            body += content
        body += b"\nendobj\n"
    table_at = len(body)
    body += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    body += b"".join(f"{offset:010} 00000 n \n".encode() for offset in offsets)
    locked = lock.entries if lock else ""
    body += f"trailer\n<</Size {len(objects) + 1}/Root {root} 0 R{locked}>>\n".encode("latin-1")
    return bytes(body) + f"startxref\n{table_at}\n%%EOF\n".encode()


class _Lock:
    """The standard security handler, revision 2 (ISO 32000-1, 7.6.3)."""

    def __init__(self, user_password: str, owner_password: str) -> None:
        user, owner = _padded(user_password), _padded(owner_password or user_password)
        allowed = (-44).to_bytes(4, "little", signed=True)
        owner_entry = _rc4(hashlib.md5(owner).digest()[:5], user)
        self._key = hashlib.md5(user + owner_entry + allowed + _FILE_ID).digest()[:5]
        user_entry = _rc4(self._key, _PADDING)
        self.entries = (
            f"/Encrypt<</Filter/Standard/V 1/R 2/P -44/O<{owner_entry.hex()}>/U<{user_entry.hex()}>>>"
            f"/ID[<{_FILE_ID.hex()}><{_FILE_ID.hex()}>]"
        )

    def encrypted(self, number: int, data: bytes) -> bytes:
        """A stream's data, encrypted for the object of this number."""
        key = hashlib.md5(self._key + number.to_bytes(3, "little") + bytes(2)).digest()[:10]
        return _rc4(key, data)


def _padded(password: str) -> bytes:
    return (password.encode("latin-1") + _PADDING)[:32]


def _rc4(key: bytes, data: bytes) -> bytes:
    state = list(range(256))
    j = 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    result = bytearray()
    i = j = 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        result.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(result)


def image_stream(image: Image.Image, file_filter: str = "FlateDecode", *, extra: str = "") -> PdfStream:
    """An image as a PDF draws it: by FlateDecode of raw samples ("1", "L", "RGB" or "CMYK"), DCTDecode, JPXDecode, or
    CCITTFaxDecode of group 4.
    """
    space, bits = {
        "1": ("/DeviceGray", 1),
        "L": ("/DeviceGray", 8),
        "RGB": ("/DeviceRGB", 8),
        "CMYK": ("/DeviceCMYK", 8),
    }[image.mode]
    data = _filtered(image, file_filter)
    if file_filter == "CCITTFaxDecode":
        extra += f"/DecodeParms<</K -1/Columns {image.width}/Rows {image.height}>>"
    return PdfStream(
        f"/Type/XObject/Subtype/Image/Width {image.width}/Height {image.height}/ColorSpace {space}"
        f"/BitsPerComponent {bits}/Filter/{file_filter}{extra}",
        data,
    )


def _filtered(image: Image.Image, file_filter: str) -> bytes:
    buffer = io.BytesIO()
    if file_filter == "FlateDecode":
        return zlib.compress(image.tobytes())
    if file_filter == "CCITTFaxDecode":
        image.save(buffer, "TIFF", compression="group4", tiffinfo={262: 0, 278: image.height})
        with Image.open(buffer) as written:
            offset, length = written.tag_v2[273][0], written.tag_v2[279][0]  # type: ignore[attr-defined]
        return buffer.getvalue()[offset : offset + length]
    image.save(buffer, {"DCTDecode": "JPEG", "JPXDecode": "JPEG2000"}[file_filter], **_QUALITY.get(file_filter, {}))
    return buffer.getvalue()


_QUALITY: Mapping[str, Mapping[str, object]] = {"DCTDecode": {"quality": 92}, "JPXDecode": {"irreversible": False}}


def scan_page(
    scan: PdfStream,
    *,
    size_pt: tuple[float, float] = A4_PT,
    matrix: str | None = None,
    before: bytes = b"",
    after: bytes = b"",
    entries: str = "",
    annotations: Sequence[str] = (),
    resources: str = "",
) -> PdfPage:
    """A page that one image covers, with content before and after it. ``matrix`` places the image otherwise."""
    width, height = size_pt
    placed = matrix or f"{width:g} 0 0 {height:g} 0 0"
    return PdfPage(
        content=before + f"\nq {placed} cm /Im0 Do Q\n".encode() + after,
        media_box=f"[0 0 {width:g} {height:g}]",
        entries=entries,
        drawn={"Im0": scan},
        annotations=annotations,
        resources=resources,
    )


def text_page(*lines: str, size_pt: tuple[float, float] = A4_PT, font_pt: float = 12) -> PdfPage:
    """A page of lines in Helvetica, the first near the top."""
    width, height = size_pt
    shown = "".join(f"({line}) Tj 0 {-1.5 * font_pt:g} Td " for line in lines)
    content = f"BT /F1 {font_pt:g} Tf 50 {height - 60:g} Td {shown}ET"
    return PdfPage(content=content.encode("latin-1"), media_box=f"[0 0 {width:g} {height:g}]")


def heic_of(image: Image.Image, *, orientation: int = 1, **options: object) -> bytes:
    """A HEIC whose pixels are stored so that its own properties (irot, imir) turn them into the picture, and whose EXIF
    data state the same orientation, as cameras write both.
    """
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    file = pillow_heif.from_pillow(stored_as(image, orientation))
    file.info["exif"] = exif.tobytes()
    buffer = io.BytesIO()
    file.save(buffer, quality=90, **options)
    return buffer.getvalue()


def gif_of(
    canvas: tuple[int, int], frame: Image.Image, at: tuple[int, int] = (0, 0), *, extensions: Sequence[bytes] = ()
) -> bytes:
    """A GIF of one frame ("P" or "L") that stands somewhere on its canvas, with extensions before it."""
    alone = io.BytesIO()
    frame.save(alone, "GIF", interlace=0)
    content = alone.getvalue()
    palette_end = 13 + (3 << (content[10] & 7) + 1)
    image_at = content.index(b",", palette_end)
    placed = content[image_at : image_at + 1] + struct.pack("<2H", *at) + content[image_at + 5 :]
    screen = content[:6] + struct.pack("<2H", *canvas) + content[10:palette_end]
    return screen + b"".join(extensions) + placed


def tiff_of(tags: Mapping[int, Sequence[int]], data: bytes, *, offsets: int) -> bytes:
    """A TIFF of one page with these tags, all of 32 bits, before its data. The tag ``offsets`` counts from the data's
    start; so does 513 (JPEGInterchangeFormat).
    """
    data_at = 8 + 2 + 12 * len(tags) + 4
    behind = bytearray(data)
    entries = []
    for tag, values in sorted(tags.items()):
        placed = [value + data_at if tag in (offsets, 513) else value for value in values]
        packed = struct.pack(f"<{len(placed)}L", *placed)
        if len(placed) > 1:
            behind += packed
            packed = struct.pack("<L", data_at + len(behind) - len(packed))
        entries.append(struct.pack("<HHL", tag, 4, len(placed)) + packed)
    return b"II*\0" + struct.pack("<LH", 8, len(tags)) + b"".join(entries) + bytes(4) + bytes(behind)
