"""The picture of a page with each provider's boxes over it, in HTML and SVG."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from html import escape

from PIL import Image

from ocrmux.ocr.v1.document_pb2 import Page
from ocrmux.ocr.v1.geometry_pb2 import Polygon, Size
from ocrmux_client.comparison.compared_page import ComparedPage
from ocrmux_client.comparison.figures import field_value, share

MAX_SIDE_PX = 1400
"""Sides of a picture; what is larger is brought down to it."""
BOXES_MAX = 3_000
"""Boxes of one provider on one page."""
_QUALITY = 80


def sheet(providers: Sequence[str], page: ComparedPage, picture: Image.Image | None) -> str:
    """The figure of one page. Boxes are in the page's own pixels, whatever the size of the picture."""
    if picture is None:
        return '<figure class="picture"><p class="soft">This page cannot be drawn.</p></figure>'
    size = _page_size(page, picture)
    layers = "".join(
        f'<g class="p{number}">{"".join(_boxes(name, number, read))}</g>'
        for number, name in enumerate(providers)
        if (record := page.records.get(name)) is not None and (read := record.page) is not None
    )
    small = _brought_down(picture)
    return (
        '<figure class="picture"><div class="sheet">'
        f'<img src="{_data_uri(small)}" width="{small.width}" height="{small.height}" loading="lazy" '
        f'alt="{escape(page.place)}">'
        f'<svg viewBox="0 0 {size.width} {size.height}" preserveAspectRatio="none" role="img" '
        f'aria-label="Where each provider read what; the texts stand beside the picture">{layers}</svg>'
        "</div></figure>"
    )


def line_key(provider_number: int, line_number: int) -> str:
    """What a line's box and its text have in common in the page's markup."""
    return f"{provider_number}-{line_number}"


def _page_size(page: ComparedPage, picture: Image.Image) -> Size:
    for record in page.records.values():
        if record.page is not None and record.page.size.width and record.page.size.height:
            return record.page.size
    return Size(width=picture.width, height=picture.height)


def _boxes(provider: str, number: int, page: Page) -> Iterator[str]:
    for count, (polygon, text, confidence, key) in enumerate(_parts(number, page)):
        if count == BOXES_MAX:
            return
        if len(polygon.points) < 3:
            continue
        points = " ".join(f"{point.x:.1f},{point.y:.1f}" for point in polygon.points)
        sure = "" if confidence is None else f" ({share(confidence)})"
        linked = f' data-n="{key}"' if key else ""
        yield (
            f'<polygon class="box" points="{points}"{linked}>'
            f"<title>{escape(f'{provider}: {text}{sure}')}</title></polygon>"
        )


def _parts(number: int, page: Page) -> Iterator[tuple[Polygon, str, float | None, str]]:
    """Outline, text, confidence and key of each line, cell and field."""
    lines = [line for block in page.blocks for line in block.lines]
    for count, line in enumerate(lines):
        yield line.polygon, line.text, line.confidence if line.HasField("confidence") else None, line_key(number, count)
    for table in page.tables:
        for cell in table.cells:
            yield cell.polygon, cell.text, cell.confidence if cell.HasField("confidence") else None, ""
    for field in page.fields:
        sure = field.confidence if field.HasField("confidence") else None
        yield field.polygon, f"{field.name}: {field_value(field)}", sure, ""


def _brought_down(picture: Image.Image) -> Image.Image:
    factor = min(1.0, MAX_SIDE_PX / max(picture.size))
    if factor == 1.0:
        return picture
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def _data_uri(picture: Image.Image) -> str:
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.getvalue()).decode()}"
