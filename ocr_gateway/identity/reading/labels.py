"""Labels and their values: 姓名 and what stands to its right, below it, and on the lines that go on below that."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ocr_gateway.identity.field_names import FieldName
from ocr_gateway.identity.fields import make_field
from ocr_gateway.identity.normalise import normalise
from ocr_gateway.identity.reading.layout import Level, Piece, Spelt, mean, rows_of
from ocr_gateway.identity.reading.repairs import simplified
from ocr_gateway.model import Field

# Heights of a line: how far a value may stand from its label, from the first character of a label that is printed wide,
# and from the part of it to its left; how far below a line it may go on, and how far its left edge may be off.
_FROM_LABEL = 6.0
_FROM_SINGLE = 9.0
_FROM_PART = 2.5
_LINE_GAP = 1.3
_EDGE = 1.2
# A label of this many characters or more may have one of them misread, and may stand in the middle of a line.
_LONG = 4
# What stands, or is seen by an engine, between a label and its value.
_AFTER_LABEL = ":：☑□■▪●"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The labels of a kind of document, and how they and their values are printed.

    ``inside``: short labels stand in the middle of lines as well. ``single``: characters of labels that are printed so
    wide that each is read by itself. ``many_lines``: the fields whose values go on below.
    """

    labels: Mapping[str, FieldName]
    many_lines: Collection[FieldName]
    inside: bool = False
    single: Mapping[str, FieldName] = field(default_factory=dict)


@dataclass(slots=True)
class Sorted:
    """The pieces of a page by the field that they belong to, and those that belong to none."""

    labels: dict[FieldName, list[Piece]]
    values: dict[FieldName, list[Piece]]
    loose: list[Piece]

    def text(self, name: FieldName) -> str:
        """The value of a field as it is read, row by row; empty where there is none."""
        return "".join(joined(row) for row in rows_of(self.values.get(name, ())))

    def field(
        self, name: FieldName, level: Level, raw: str | None = None, normalized: str | None = None
    ) -> Field | None:
        """The field, None where it has no value; ``raw`` for a value that is only a part of its pieces."""
        pieces = self.values.get(name, [])
        if not pieces:
            return None
        confidence = mean([piece.confidence for piece in pieces])
        text = self.text(name) if raw is None else raw
        form = normalise(name, simplified(text)) if normalized is None else normalized
        return make_field(name, text, confidence, level.polygon(pieces), form)


def joined(row: Sequence[Piece]) -> str:
    """The text of a row, its pieces as they stand: a blank between those that stand apart."""
    text = ""
    for i, piece in enumerate(row):
        apart = i > 0 and piece.left - row[i - 1].right > 0.6 * piece.height
        text += (" " if apart else "") + piece.text
    return text


def sort_pieces(lines: Iterable[Spelt], vocabulary: Vocabulary) -> Sorted:
    """Which piece of the lines is a label, and which belongs to which."""
    labels: list[tuple[FieldName, Piece]] = []
    values: list[Piece] = []
    for line in lines:
        found, rest = _cut(line, vocabulary)
        labels += found
        values += rest
    return _owned(labels, values, vocabulary)


def _cut(line: Spelt, vocabulary: Vocabulary) -> tuple[list[tuple[FieldName, Piece]], list[Piece]]:
    """The labels in a line and what is left of it."""
    text = line.characters
    if vocabulary.single and all(character in vocabulary.single for character in text):
        return [(vocabulary.single[text[i]], line.part(i, i + 1)) for i in range(len(text))], []
    labels: list[tuple[FieldName, Piece]] = []
    values: list[Piece] = []
    place = begin = 0
    while place < len(text):
        name, length = _label_at(text, place, vocabulary)
        if name is None:
            place += 1
            continue
        if begin < place:
            values.append(line.part(begin, place))
        labels.append((name, line.part(place, place + length)))
        place += length
        while place < len(text) and text[place] in _AFTER_LABEL:
            place += 1
        begin = place
    if begin < len(text):
        values.append(line.part(begin, len(text)))
    return labels, values


def _label_at(text: str, place: int, vocabulary: Vocabulary) -> tuple[FieldName | None, int]:
    """The longest label at this place of a line, and its length."""
    best: tuple[FieldName | None, int] = (None, 0)
    for label, name in vocabulary.labels.items():
        here = text[place : place + len(label)]
        allowed = place == 0 or len(label) >= _LONG or vocabulary.inside
        misread = sum(one != other for one, other in zip(here, label, strict=False))
        fits = here == label or (len(label) >= _LONG and len(here) == len(label) and misread == 1)
        if allowed and fits and len(label) > best[1]:
            best = (name, len(label))
    if best[0] is None and place == 0 and len(text) > 2 and text[0] in vocabulary.single:
        return vocabulary.single[text[0]], 1
    return best


def _owned(labels: Sequence[tuple[FieldName, Piece]], values: Iterable[Piece], vocabulary: Vocabulary) -> Sorted:
    owned: list[tuple[FieldName, Piece]] = []
    loose: list[Piece] = []
    for piece in sorted(values, key=lambda each: (each.top + each.bottom, each.left)):
        name = _by_row(piece, labels) or _by_part(piece, owned) or _by_line_above(piece, owned, labels, vocabulary)
        if name is None:
            loose.append(piece)
        else:
            owned.append((name, piece))
    # Pieces of one row come in any order, so a part may come before the one to its left that says whose it is.
    for piece in list(loose):
        if name := _by_part(piece, owned):
            owned.append((name, piece))
            loose.remove(piece)
    _take_what_is_below(labels, owned, loose)
    out = Sorted({}, {}, loose)
    for name, piece in labels:
        out.labels.setdefault(name, []).append(piece)
    for name, piece in owned:
        out.values.setdefault(name, []).append(piece)
    return out


def _by_row(piece: Piece, labels: Iterable[tuple[FieldName, Piece]]) -> FieldName | None:
    """The field whose label stands just to the left."""
    near = [
        (piece.left - label.right, name)
        for name, label in labels
        if label.beside(piece) and -label.height < piece.left - label.right < _reach(label) * piece.height
        and label.left < piece.left
    ]  # fmt: skip
    return min(near)[1] if near else None


def _reach(label: Piece) -> float:
    return _FROM_SINGLE if len(label.text) == 1 else _FROM_LABEL


def _by_part(piece: Piece, owned: Iterable[tuple[FieldName, Piece]]) -> FieldName | None:
    """The field of the part just to the left."""
    near = [
        (piece.left - part.right, name)
        for name, part in owned
        if part.beside(piece) and -part.height < piece.left - part.right < _FROM_PART * piece.height
    ]
    return min(near)[1] if near else None


def _by_line_above(
    piece: Piece,
    owned: Iterable[tuple[FieldName, Piece]],
    labels: Iterable[tuple[FieldName, Piece]],
    vocabulary: Vocabulary,
) -> FieldName | None:
    """The field of the line that this one goes on from: just above, begun at the same left edge."""
    near = []
    for name, part in owned:
        gap = piece.below(part)
        if (
            name in vocabulary.many_lines
            and -0.5 * piece.height < gap < _LINE_GAP * piece.height
            and abs(piece.left - part.left) < _EDGE * piece.height + abs(gap) * 0.2
            and not any(part.bottom <= label.top and label.bottom <= piece.top and label.left <= piece.left
                        and label.right >= part.left for _, label in labels)
        ):  # fmt: skip
            near.append((gap, name))
    return min(near)[1] if near else None


def _take_what_is_below(
    labels: Iterable[tuple[FieldName, Piece]], owned: list[tuple[FieldName, Piece]], loose: list[Piece]
) -> None:
    """Gives a label without a value the loose piece just below it."""
    for name, label in labels:
        if any(owner is name for owner, _ in owned):
            continue
        below = [
            (piece.below(label), piece)
            for piece in loose
            if -0.5 * label.height < piece.below(label) < 1.5 * label.height
            and piece.left < label.right
            and piece.right > label.left
        ]
        if below:
            piece = min(below, key=lambda each: each[0])[1]
            owned.append((name, piece))
            loose.remove(piece)
