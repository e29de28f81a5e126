"""Pictures for the documentation: a plot of the error rates, what the classes look like, and pages before and after."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot
from PIL import Image, ImageDraw, ImageFont, ImageOps

from tests.quality.corpus import CLASSES, SEED, make_page
from tests.quality.figures import ENGINE_NAMES, Means
from tests.quality.subjects import prepared

# Okabe and Ito's colours, which people with any kind of colour blindness tell apart; each has a mark of its own too.
_MARKS = (("#000000", "o"), ("#D55E00", "X"), ("#0072B2", "D"), ("#009E73", "s"), ("#CC79A7", "^"), ("#E69F00", "v"))
# The scale is linear up to this rate, %, so that 0 has a place.
_LINEAR_TO = 0.1
_TILE = (330, 220)
_COLUMNS = 4
_CAPTION_PX = 22
_SHOWN_WHOLE = ("skew", "uneven", "turns", "skew12", "phone", "phone_hard")
_CHANGED = ("uneven", "low_contrast", "skew12", "phone", "phone_hard")


def plot(tables: Mapping[str, Means], subjects: Sequence[str], path: Path) -> None:
    """Writes an SVG: for each engine a row of dots a class, one dot a subject."""
    mpl.rcParams.update({"svg.hashsalt": "quality", "font.size": 9, "svg.fonttype": "none"})
    figure, axes = pyplot.subplots(1, len(tables), figsize=(5.2 * len(tables), 5.4), sharey=True, squeeze=False)
    kinds = [kind for kind in CLASSES if all((kind, subjects[0]) in table for table in tables.values())]
    for axis, (engine, table) in zip(axes[0], tables.items(), strict=True):
        for number, subject in enumerate(subjects):
            colour, mark = _MARKS[number % len(_MARKS)]
            shift = (number - (len(subjects) - 1) / 2) * 0.22
            places = [row + shift for row in range(len(kinds))]
            rates = [table[kind, subject] for kind in kinds]
            axis.scatter(rates, places, color=colour, marker=mark, s=30, label=subject, zorder=3)
        axis.set_xscale("symlog", linthresh=_LINEAR_TO)
        axis.set_xlim(-0.02, 150)
        axis.set_xticks([0, 0.1, 1, 10, 100], ["0", "0.1", "1", "10", "100"])
        axis.set_title(ENGINE_NAMES[engine])
        axis.set_xlabel("character error rate, %")
        axis.grid(axis="x", color="#dddddd", zorder=0)
        for row in range(0, len(kinds), 2):
            axis.axhspan(row - 0.5, row + 0.5, color="#f4f4f4", zorder=-1)
    axes[0][0].set_yticks(range(len(kinds)), kinds)
    axes[0][0].set_ylim(len(kinds) - 0.5, -0.5)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.tight_layout(rect=(0, 0, 1, 0.94))
    figure.legend(handles, labels, loc="upper center", ncols=len(labels), frameon=False)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def contact_sheet(path: Path) -> None:
    """Writes a JPEG with a page of each class: the whole of one that is moved, else a part at its own size."""
    tiles = [(kind, _tile(make_page(kind, 1, SEED).content, whole=kind in _SHOWN_WHOLE)) for kind in CLASSES]
    _sheet(tiles, _COLUMNS).save(path, quality=72)


def before_and_after(path: Path) -> None:
    """Writes a JPEG with a few pages as given, as ``auto`` makes them for RapidOCR, and for Tesseract."""
    tiles = []
    for kind in _CHANGED:
        content = make_page(kind, 1, SEED).content
        tiles.append((f"{kind}: as given", _tile(content, whole=True)))
        for engine, name in ENGINE_NAMES.items():
            tiles.append((f"auto for {name}", _tile(prepared("auto", content, engine, {}).content, whole=True)))
    _sheet(tiles, 1 + len(ENGINE_NAMES)).save(path, quality=72)


def _tile(content: bytes, *, whole: bool) -> Image.Image:
    with Image.open(io.BytesIO(content)) as image:
        page = image.convert("RGB")
    if whole:
        page.thumbnail(_TILE, Image.Resampling.LANCZOS)
    return ImageOps.pad(
        page.crop((0, 0, min(page.width, _TILE[0]), min(page.height, _TILE[1]))), _TILE, color="#b0b0b0"
    )


def _sheet(tiles: Sequence[tuple[str, Image.Image]], columns: int) -> Image.Image:
    width, height = _TILE[0] + 8, _TILE[1] + 8 + _CAPTION_PX
    sheet = Image.new("RGB", (width * columns, height * -(-len(tiles) // columns)), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(14)
    for number, (caption, tile) in enumerate(tiles):
        left, top = number % columns * width + 4, number // columns * height + 4
        draw.text((left, top), caption, fill="black", font=font)
        sheet.paste(tile, (left, top + _CAPTION_PX))
    return sheet
