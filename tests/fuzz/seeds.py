"""The files that fuzzing starts from, one set for each decoder."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from tests.fakes.hostile_boxes import box_files
from tests.fakes.hostile_file import HostileFile, marked_page
from tests.fakes.hostile_pdfs import pdf_files
from tests.fakes.hostile_rasters import raster_files
from tests.fakes.hostile_tiffs import tiff_files
from tests.fakes.images import encoded, photo

MAX_SEED_BYTES = 16_384
"""Larger files are changed too seldom where it matters."""

_FORMATS: dict[str, tuple[str, Callable[[], tuple[HostileFile, ...]]]] = {
    "jpeg": ("jpeg", raster_files),
    "png": ("png", raster_files),
    "tiff": ("tiff", tiff_files),
    "webp": ("webp", raster_files),
    "bmp": ("bmp", raster_files),
    "gif": ("gif", raster_files),
    "heif": ("heic", box_files),
    "avif": ("avif", box_files),
    "pdf": ("pdf", pdf_files),
}
DECODERS = tuple(_FORMATS)


@cache
def seeds_of(decoder: str) -> tuple[bytes, ...]:
    """Small files of this format, whole, odd and hostile ones, always in one order."""
    start, files = _FORMATS[decoder]
    contents = [file.build() for file in files() if file.name.startswith(start)]
    plain = [content for content in contents if 0 < len(content) <= MAX_SEED_BYTES]
    return (*plain, *_pictures(decoder))


def _pictures(decoder: str) -> tuple[bytes, ...]:
    """Ones of more colours and of other codecs than the corpus holds."""
    picture = photo(40, 30)
    ways: dict[str, tuple[dict[str, object], ...]] = {
        "jpeg": (
            {"subsampling": 0},
            {"restart_marker_rows": 1},
            {"progressive": True, "exif": b"Exif\0\0II*\0" + bytes(99)},
        ),
        "png": ({}, {"compress_level": 0}),
        "tiff": ({"compression": "tiff_lzw"}, {"compression": "jpeg"}, {"tile": (16, 16)}),
        "webp": ({"quality": 30}, {"lossless": True}),
        "bmp": ({},),
        "gif": ({},),
        "avif": ({"quality": 30},),
    }
    if decoder == "tiff":
        ways["tiff"] = (*ways["tiff"], {"compression": "tiff_adobe_deflate"}, {"compression": "packbits"})
        bilevel = marked_page().convert("1")
        faxes = tuple(encoded(bilevel, "TIFF", compression=name) for name in ("group3", "group4", "tiff_ccitt"))
        return (*faxes, *(encoded(picture, "TIFF", **options) for options in ways["tiff"]))
    return tuple(encoded(picture, decoder.upper(), **options) for options in ways.get(decoder, ()))
