"""Pages with one drawn table each, whose cells are known: ruled, ruled across only, and without rules."""

from __future__ import annotations

import enum
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Pixels = npt.NDArray[np.uint8]
Font = ImageFont.FreeTypeFont

_LATIN_FONT = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
_CJK_FONT = Path("/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc")
_MARGIN = 60
_LEADING = 1.3
_WORD = re.compile(r"[\u3000-\u9fff\uff00-\uffef]|[^\s\u3000-\u9fff\uff00-\uffef]+")


class Rules(enum.Enum):
    """Which rules are drawn."""

    ALL = "all"
    ACROSS = "across"
    NONE = "none"


class Align(enum.Enum):
    """Where a cell's lines stand in its width."""

    LEFT = "left"
    CENTRE = "centre"
    RIGHT = "right"


@dataclass(frozen=True, slots=True)
class DrawnCell:
    """A cell as drawn; its text's lines are parted by line feeds. ``box``: left, top, right, bottom, pixels."""

    row: int
    column: int
    row_span: int
    column_span: int
    text: str
    align: Align = Align.LEFT
    box: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class DrawnWord:
    """A run of characters without a blank, or one CJK character, and its ink: left, top, right, bottom, pixels."""

    text: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class DrawnText:
    """A line of text with its words."""

    text: str
    words: tuple[DrawnWord, ...]


@dataclass(frozen=True, slots=True)
class TablePage:
    """The pixels, the table's cells by row and column, the texts around the table, and all lines as drawn."""

    pixels: Pixels
    row_count: int
    column_count: int
    cells: tuple[DrawnCell, ...]
    outside: tuple[str, ...]
    rules: Rules
    lines: tuple[DrawnText, ...]


@dataclass(frozen=True, slots=True)
class _Words:
    title: tuple[str, ...]
    corner: tuple[str, ...]
    groups: tuple[str, ...]
    heads: tuple[str, ...]
    names: tuple[str, ...]
    regions: tuple[str, ...]
    remarks: tuple[str, ...]
    total: str
    note: tuple[str, ...]


_ENGLISH = _Words(
    title=("Quarterly sales by region", "Inventory of the north store", "Results of the second survey"),
    corner=("Product", "Article", "Description"),
    groups=("First half", "Second half", "Domestic", "Export"),
    heads=("Units", "Price", "Amount", "Change", "Budget", "Actual", "Share"),
    names=("Steel pipe", "Copper wire", "Paper box", "Office chair", "Table lamp", "Glass panel", "Door handle",
           "Water pump", "Filter set", "Power cable", "Rubber seal", "Oak board"),
    regions=("North", "South", "East", "West", "Centre"),
    remarks=("delivered in\ntwo parts", "in stock", "on order since\nlast Monday", "checked", "price under\nreview"),
    total="Total",
    note=("All amounts are given without tax and rounded to cents.", "The next report follows at the end of the year."),
)  # fmt: skip
_CHINESE = _Words(
    title=("各地区季度销售统计", "北方仓库库存清单", "第二次调查结果汇总"),
    corner=("产品名称", "项目", "品名规格"),
    groups=("上半年", "下半年", "国内市场", "出口业务"),
    heads=("数量", "单价", "金额", "增长率", "预算", "实际", "占比"),
    names=("无缝钢管", "铜芯电线", "瓦楞纸箱", "办公座椅", "阅读台灯", "玻璃面板", "门锁把手", "循环水泵", "滤芯套装",
           "电源线缆", "橡胶垫圈", "橡木地板"),
    regions=("华北", "华南", "华东", "西部", "中部"),
    remarks=("分两批交货\n月底到齐", "现货", "上周一已经\n下达订单", "已验收", "价格尚在\n审核之中"),
    total="合计",
    note=("以上金额均不含税，保留两位小数。", "下一期报告将于年底发布。"),
)  # fmt: skip


def missing_fonts() -> list[str]:
    """The fonts that the pages need and that are not installed."""
    return [str(font) for font in (_LATIN_FONT, _CJK_FONT) if not font.is_file()]


def table_page(seed: int, *, ruled: bool) -> TablePage:
    """The page of this seed: even ones Chinese, odd ones English. Of four unruled ones one has rules across.

    It has a head of one row or of two with cells over two columns, two to four rows a group named at the left in some,
    cells of two lines, empty cells, numbers at the right, and a last row whose first cell is two columns wide.
    """
    rng = random.Random(f"{seed} {ruled}")
    words = _CHINESE if seed % 2 == 0 else _ENGLISH
    rules = Rules.ALL if ruled else (Rules.ACROSS if seed % 4 == 3 else Rules.NONE)
    rows, columns, cells = _cells(rng, words)
    font = ImageFont.truetype(str(_CJK_FONT if words is _CHINESE else _LATIN_FONT), rng.randint(18, 30))
    return _Drawing(rng, font, rules, rows, columns, cells).page(rng.choice(words.title), words.note)


def _cells(rng: random.Random, words: _Words) -> tuple[int, int, list[DrawnCell]]:
    """Row count, column count and the cells, without places."""
    grouped, remarked = rng.random() < 0.5, rng.random() < 0.6
    numbers = rng.choice((2, 4)) if rng.random() < 0.7 else 3
    two_headed = numbers in (2, 4)
    columns = grouped + 1 + numbers + remarked
    head = 2 if two_headed else 1
    cells: list[DrawnCell] = []
    labels = (["地区" if words is _CHINESE else "Region"] if grouped else []) + [rng.choice(words.corner)]
    for column, text in enumerate(labels):
        cells.append(DrawnCell(0, column, head, 1, text, Align.CENTRE))
    first = len(labels)
    if two_headed:
        for pair, text in enumerate(rng.sample(words.groups, numbers // 2)):
            cells.append(DrawnCell(0, first + 2 * pair, 1, 2, text, Align.CENTRE))
    heads = (DrawnCell(head - 1, first + k, 1, 1, rng.choice(words.heads), Align.CENTRE) for k in range(numbers))
    cells.extend(heads)
    if remarked:
        text = "备注" if words is _CHINESE else "Remark"
        cells.append(DrawnCell(0, columns - 1, head, 1, text, Align.CENTRE))
    row = head
    names = rng.sample(words.names, 12)
    regions = rng.sample(words.regions, 3)
    sizes = [rng.randint(2, 4) for _ in range(rng.randint(2, 3))] if grouped else [rng.randint(4, 9)]
    for size in sizes:
        if grouped:
            cells.append(DrawnCell(row, 0, size, 1, regions.pop(), Align.CENTRE))
        for _ in range(size):
            cells.extend(_body_row(rng, words, row, first, numbers, names.pop(), remarked=remarked))
            row += 1
    wide = 2 if grouped else 1
    cells.append(DrawnCell(row, 0, 1, wide, words.total, Align.CENTRE if wide == 2 else Align.LEFT))
    cells.extend(DrawnCell(row, first + k, 1, 1, _number(rng, k), Align.RIGHT) for k in range(numbers))
    if remarked:
        cells.append(DrawnCell(row, columns - 1, 1, 1, ""))
    return row + 1, columns, sorted(cells, key=lambda cell: (cell.row, cell.column))


def _body_row(
    rng: random.Random, words: _Words, row: int, first: int, numbers: int, name: str, *, remarked: bool
) -> list[DrawnCell]:
    cells = [DrawnCell(row, first - 1, 1, 1, name)]
    for number in range(numbers):
        text = "" if rng.random() < 0.1 else _number(rng, number)
        cells.append(DrawnCell(row, first + number, 1, 1, text, Align.RIGHT))
    if remarked:
        text = rng.choice(words.remarks) if rng.random() < 0.7 else ""
        cells.append(DrawnCell(row, first + numbers, 1, 1, text))
    return cells


def _number(rng: random.Random, column: int) -> str:
    match column % 4:
        case 0:
            return str(rng.randint(1, 900))
        case 1:
            return f"{rng.randint(100, 999_999) / 100:,.2f}"
        case 2:
            return f"{rng.randint(1_000, 9_999_999):,}"
        case _:
            return f"{rng.randint(-300, 990) / 10}%"


class _Drawing:
    """A table's sizes and its page."""

    def __init__(
        self, rng: random.Random, font: Font, rules: Rules, rows: int, columns: int, cells: Sequence[DrawnCell]
    ) -> None:
        self._font, self._rules, self._cells = font, rules, cells
        size = font.size
        self._pad_x = round(size * rng.uniform(0.5, 0.9) if rules is Rules.ALL else size * rng.uniform(0.8, 1.4))
        self._pad_y = round(size * rng.uniform(0.35, 0.7))
        self._rule = rng.choice((1, 2, 3))
        self._border = self._rule + rng.choice((0, 0, 2))
        grey = rng.choice((0, 0, 60, 110))
        self._rule_ink = (grey, grey, grey)
        self._from_top = rng.random() < 0.4
        self._lines: list[DrawnText] = []
        self._xs = self._edges([self._width(cell.text) for cell in cells], columns, self._pad_x, across=True)
        self._ys = self._edges([self._height(cell.text) for cell in cells], rows, self._pad_y, across=False)

    def page(self, title: str, note: Sequence[str]) -> TablePage:
        """The table under its title and over the note's lines."""
        font, size = self._font, int(self._font.size)
        width = int(max(self._xs[-1], *(font.getlength(line) for line in (title, *note)))) + 2 * _MARGIN
        top = _MARGIN + 2.6 * size
        height = int(top + self._ys[-1] + (1.6 + 1.6 * len(note)) * size) + _MARGIN
        image = Image.new("RGB", (width, height), (255, 255, 255))
        draw = ImageDraw.Draw(image)
        self._write(draw, _MARGIN, _MARGIN, title)
        for number, line in enumerate(note):
            self._write(draw, _MARGIN, top + self._ys[-1] + (1.4 + 1.6 * number) * size, line)
        placed = []
        for cell in self._cells:
            box = (
                _MARGIN + self._xs[cell.column],
                top + self._ys[cell.row],
                _MARGIN + self._xs[cell.column + cell.column_span],
                top + self._ys[cell.row + cell.row_span],
            )
            placed.append(DrawnCell(*_parts(cell), cell.align, box))
            self._draw_text(draw, placed[-1])
            if self._rules is Rules.ALL:
                draw.rectangle(_around(box, self._rule), outline=self._rule_ink, width=self._rule)
        self._draw_edges(draw, top, placed)
        return TablePage(
            np.asarray(image),
            len(self._ys) - 1,
            len(self._xs) - 1,
            tuple(placed),
            (title, *note),
            self._rules,
            tuple(self._lines),
        )

    def _width(self, text: str) -> float:
        return max((self._font.getlength(line) for line in text.split("\n")), default=0.0) + 2 * self._pad_x

    def _height(self, text: str) -> float:
        return (len(text.split("\n")) - 1) * _LEADING * self._font.size + 1.15 * self._font.size + 2 * self._pad_y

    def _edges(self, needs: Sequence[float], count: int, pad: float, *, across: bool) -> list[float]:
        """The places of the rules between columns or rows, such that what stands in each cell has room."""
        sizes = [2.0 * pad + self._font.size] * count
        spans = [
            (cell.column, cell.column_span, need) if across else (cell.row, cell.row_span, need)
            for cell, need in zip(self._cells, needs, strict=True)
        ]
        for first, span, need in sorted(spans, key=lambda each: each[1]):
            lack = need - sum(sizes[first : first + span])
            for index in range(first, first + span):
                sizes[index] += max(0.0, lack) / span
        edges = [0.0]
        for each in sizes:
            edges.append(float(round(edges[-1] + each)))
        return edges

    def _draw_text(self, draw: ImageDraw.ImageDraw, cell: DrawnCell) -> None:
        left, top, right, bottom = cell.box
        lines = cell.text.split("\n")
        height = self._height(cell.text) - 2 * self._pad_y
        y = top + self._pad_y if self._from_top and cell.row_span == 1 else (top + bottom - height) / 2
        for line in lines:
            spare = right - left - 2 * self._pad_x - self._font.getlength(line)
            share = {Align.LEFT: 0.0, Align.CENTRE: 0.5, Align.RIGHT: 1.0}[cell.align]
            self._write(draw, left + self._pad_x + share * spare, y, line)
            y += _LEADING * self._font.size

    def _write(self, draw: ImageDraw.ImageDraw, x: float, y: float, text: str) -> None:
        draw.text((x, y), text, font=self._font, fill=(0, 0, 0))
        words = []
        for found in _WORD.finditer(text):
            before = self._font.getlength(text[: found.start()])
            left, top, right, bottom = self._font.getbbox(found.group())
            words.append(DrawnWord(found.group(), (x + before + left, y + top, x + before + right, y + bottom)))
        if words:
            self._lines.append(DrawnText(text, tuple(words)))

    def _draw_edges(self, draw: ImageDraw.ImageDraw, top: float, cells: Sequence[DrawnCell]) -> None:
        left, right, bottom = _MARGIN, _MARGIN + self._xs[-1], top + self._ys[-1]
        if self._rules is Rules.ALL:
            draw.rectangle(
                _around((left, top, right, bottom), self._border), outline=self._rule_ink, width=self._border
            )
        elif self._rules is Rules.ACROSS:
            head = max(cell.row + cell.row_span for cell in cells if cell.row == 0)
            for y in (top, top + self._ys[head], top + self._ys[-2], bottom):
                draw.line([(left, y), (right, y)], fill=self._rule_ink, width=self._rule)


def _parts(cell: DrawnCell) -> tuple[int, int, int, int, str]:
    return cell.row, cell.column, cell.row_span, cell.column_span, cell.text


def _around(box: tuple[float, float, float, float], width: int) -> tuple[float, float, float, float]:
    """The rectangle whose outline of this width is centred on the box's edges."""
    left, top, right, bottom = box
    before, after = width // 2, (width - 1) // 2
    return left - before, top - before, right + after, bottom + after
