"""Baidu's answers, made into pages. Whatever is not as documented raises ValueError, which says what.

Coordinates are taken to be pixels of the image that was sent, as the vendor's pages say of ``location``. Where the
answer has ``direction``, polygons begin at the text's own top left: on an image turned counter-clockwise by a quarter
that is the lower left corner, and so on; without it, or with -1 (unknown), text is taken to be level.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from ocr_gateway.model import Block, Cell, CellKind, Line, Page, Polygon, Table, Word
from ocr_gateway.providers.baidu.documents import bank_card_fields, business_licence_fields, id_card_fields
from ocr_gateway.providers.remote.places import box_polygon, corner_polygon, union_polygon
from ocr_gateway.providers.remote.values import array, confidence, index, member, text

# Scripts written without spaces, by the first code point above which they lie (CJK radicals, kana, ideographs), but
# for Hangul, whose words are parted.
_FIRST_UNSPACED = 0x2E80
_HANGUL = range(0xAC00, 0xD7B0)
# How far ahead in a line its next character is looked for.
_LONGEST_GAP = 64


def page_of(said: dict[str, Any], endpoint: str, width: int, height: int) -> Page:
    """The page that the answer of an endpoint describes. An answer that found nothing is an empty page."""
    match endpoint:
        case "table":
            return Page(width, height, tables=_tables(said))
        case "idcard":
            return Page(width, height, fields=id_card_fields(said))
        case "business_license":
            return Page(width, height, fields=business_licence_fields(said))
        case "bankcard":
            return Page(width, height, fields=bank_card_fields(said))
        case _:
            return Page(width, height, blocks=_blocks(said))


def _blocks(said: dict[str, Any]) -> tuple[Block, ...]:
    """One block, or Baidu's paragraphs where they were asked for."""
    direction = said.get("direction", 0)
    turn = direction if direction in (1, 2, 3) else 0
    lines = [_line(each, turn) for each in array(member(said, "words_result"), "words_result")]
    if not lines:
        return ()
    if "paragraphs_result" not in said:
        return (Block(tuple(lines)),)
    blocks = []
    left = dict(enumerate(lines))
    for paragraph in array(said["paragraphs_result"], "paragraphs_result"):
        places = array(member(paragraph, "words_result_idx"), "words_result_idx")
        members = [left.pop(place) for place in (index(each, "words_result_idx") for each in places) if place in left]
        if members:
            blocks.append(Block(tuple(members)))
    if left:
        blocks.append(Block(tuple(left.values())))
    return tuple(blocks)


def _line(said: Any, turn: int) -> Line:
    words = text(member(said, "words"), "words")
    polygon = corner_polygon(said["vertexes_location"], turn) if "vertexes_location" in said else None
    if polygon is None and "location" in said:
        polygon = box_polygon(said["location"], turn)
    return Line(
        words,
        _probability(said),
        polygon,
        _words(words, array(said["chars"], "chars"), turn) if "chars" in said else (),
    )


def _probability(said: Any) -> float | None:
    """A number, or the average of an object."""
    stated = said.get("probability")
    return confidence(stated.get("average") if isinstance(stated, dict) else stated)


def _words(line: str, chars: Sequence[Any], turn: int) -> tuple[Word, ...]:
    """The line's words: characters between which no blank stands are one, but those of scripts without blanks."""
    words: list[Word] = []
    position = 0
    for said in chars:
        char = text(member(said, "char"), "char")
        polygon = box_polygon(member(said, "location"), turn)
        if not char.strip() or polygon is None:
            continue
        found = line.find(char, position, position + _LONGEST_GAP)
        joined = bool(words) and found == position and not (_stands_alone(char[0]) or _stands_alone(words[-1].text[-1]))
        if found >= 0:
            position = found + len(char)
        word = Word(char, _probability(said), polygon)
        if joined:
            words[-1] = _joined(words[-1], word, turn)
        else:
            words.append(word)
    return tuple(words)


def _joined(first: Word, second: Word, turn: int) -> Word:
    confidences = [each.confidence for each in (first, second) if each.confidence is not None]
    return replace(
        first,
        text=first.text + second.text,
        confidence=min(confidences, default=None),
        polygon=union_polygon((first.polygon, second.polygon), turn),
    )


def _stands_alone(char: str) -> bool:
    code = ord(char)
    return code >= _FIRST_UNSPACED and code not in _HANGUL


def _tables(said: dict[str, Any]) -> tuple[Table, ...]:
    """Baidu leaves ``tables_result`` out when it found no table."""
    if "tables_result" not in said and said.get("table_num") == 0:
        return ()
    return tuple(_table(each) for each in array(member(said, "tables_result"), "tables_result"))


def _table(said: Any) -> Table:
    """Its body, with what stands above and below: Baidu's ``header`` and ``footer`` belong to no row, so each of
    their entries becomes a row of its own over all columns.
    """
    body = [_cell(each) for each in array(member(said, "body"), "body")]
    columns = max((cell.column + cell.column_span for cell in body), default=1)
    rows = max((cell.row + cell.row_span for cell in body), default=0)
    header = [*_marginal(said.get("header", []), CellKind.COLUMN_HEADER, 0, columns)]
    footer = [*_marginal(said.get("footer", []), CellKind.FOOTER, len(header) + rows, columns)]
    moved = sorted(
        (replace(cell, row=cell.row + len(header)) for cell in body), key=lambda cell: (cell.row, cell.column)
    )
    return Table(
        row_count=len(header) + rows + len(footer),
        column_count=columns,
        cells=(*header, *moved, *footer),
        polygon=_corners(said.get("table_location")),
    )


def _cell(said: Any) -> Cell:
    """Baidu counts the grid's lines, so that ends are exclusive; an end at its start is a single row or column."""
    row, row_end, column, column_end = (
        index(member(said, name), name) for name in ("row_start", "row_end", "col_start", "col_end")
    )
    return Cell(
        row=row,
        column=column,
        row_span=max(1, row_end - row),
        column_span=max(1, column_end - column),
        text=text(member(said, "words"), "words"),
        confidence=None,
        polygon=_corners(said.get("cell_location")),
        kind=CellKind.CONTENT,
    )


def _marginal(said: Any, kind: CellKind, first_row: int, columns: int) -> Iterator[Cell]:
    for row, each in enumerate(array(said, kind.value), first_row):
        yield Cell(
            row=row,
            column=0,
            row_span=1,
            column_span=columns,
            text=text(member(each, "words"), "words"),
            confidence=None,
            polygon=_corners(each.get("location")),
            kind=kind,
        )


def _corners(said: Any) -> Polygon | None:
    return corner_polygon(said) if said is not None else None
