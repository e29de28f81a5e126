"""A Markdown document: a heading a page, tables as tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ocrmux.ocr.v1.document_pb2 import CHECK_DIGIT_INVALID, CHECK_DIGIT_VALID, Block, Page
from ocrmux_client.exporters.cell_grid import cell_grid
from ocrmux_client.records import PageRecord

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~#])")
_LIST_START = re.compile(r"^(\s*)(?:(\d+)([.)])|([-+=:]))(?=\s|[-=:]|$)")
_CHECKS = {CHECK_DIGIT_VALID: "holds", CHECK_DIGIT_INVALID: "**does not hold**"}


class MarkdownExporter:
    """Every page, errors too, under a heading of its own; what was read never counts as markup."""

    def head(self) -> str:
        """Nothing."""
        return ""

    def piece(self, record: PageRecord) -> str:
        """The page's heading and its paragraphs, each followed by a blank line."""
        parts = [f"## {_escaped(record.place)}"]
        if record.page is None:
            reason = f"{record.status} {record.reason}".rstrip()
            parts.append(f"> not read: {_escaped(reason)}: {_escaped(' '.join(record.message.split()))}")
        else:
            parts += _content(record.page)
        return "".join(f"{part}\n\n" for part in parts)


def _content(page: Page) -> Iterator[str]:
    for block in page.blocks:
        if paragraph := _paragraph(block):
            yield paragraph
    if not page.blocks and not page.tables and not page.fields and page.text:
        yield "  \n".join(_line(line) for line in page.text.splitlines() if line.strip())
    for table in page.tables:
        if grid := cell_grid(table):
            yield _table(grid)
    if page.fields:
        rows = [("Field", "Value", "As printed", "Check digit")]
        rows += [(field.name, field.normalized_value or field.raw_value, field.raw_value, "") for field in page.fields]
        lines = _table(rows).split("\n")
        for index, field in enumerate(page.fields, start=2):
            lines[index] = lines[index].removesuffix(" |") + f"{_CHECKS.get(field.check_digit, '')} |"
        yield "\n".join(lines)


def _paragraph(block: Block) -> str:
    return "  \n".join(_line(line.text) for line in block.lines if line.text.strip())


def _line(text: str) -> str:
    return _LIST_START.sub(_defused, _escaped(text.strip()))


def _defused(match: re.Match[str]) -> str:
    space, number, point, sign = match.groups()
    return f"{space}\\{sign}" if sign else f"{space}{number}\\{point}"


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)


def _table(rows: Sequence[Sequence[str]]) -> str:
    lines = [
        "| " + " | ".join("<br>".join(_escaped(part) for part in cell.splitlines()) for cell in row) + " |"
        for row in rows
    ]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])
