"""Textract's blocks: a list of objects that refer to each other by their ids, with places as shares of the page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ocr_gateway.model import Point, Polygon
from ocr_gateway.providers.remote.places import ordered
from ocr_gateway.providers.remote.values import array, member, number, optional_text, text

# What a page may have after all references are followed; more is no page but an attack.
_MAX_REFERENCES = 1_000_000
_MAX_CHARACTERS = 20_000_000


class Blocks:
    """The blocks of one page of ``width`` x ``height`` pixels. Raises ValueError for what is not as documented."""

    def __init__(self, said: Any, width: int, height: int) -> None:
        self._all = [each for each in array(said, "Blocks") if isinstance(each, dict)]
        self._by_id = {text(each["Id"], "Id"): each for each in self._all if "Id" in each}
        self._width = width
        self._height = height
        self._references = self._characters = 0

    def of_type(self, kind: str) -> Iterator[dict[str, Any]]:
        """The blocks of a type, in the order of the answer."""
        return (each for each in self._all if each.get("BlockType") == kind)

    def related(self, block: dict[str, Any], relation: str) -> Iterator[dict[str, Any]]:
        """The blocks that a block refers to, in order; ids that no block has are left out."""
        relations = block.get("Relationships")
        for each in array(relations, "Relationships") if relations is not None else ():
            if member(each, "Type") != relation:
                continue
            for name in array(member(each, "Ids"), "Ids"):
                self._references += 1
                if self._references > _MAX_REFERENCES:
                    raise ValueError("its blocks refer to each other too often")
                found = self._by_id.get(text(name, "Id"))
                if found is not None:
                    yield found

    def text(self, block: dict[str, Any]) -> str:
        """What stands in a block itself: a word, a line, or a box that is ticked or is not."""
        if block.get("BlockType") == "SELECTION_ELEMENT":
            return "☒" if block.get("SelectionStatus") == "SELECTED" else "☐"
        words = optional_text(block.get("Text"), "Text")
        self._characters += len(words)
        if self._characters > _MAX_CHARACTERS:
            raise ValueError("its blocks have too much text together")
        return words

    def polygon(self, block: dict[str, Any]) -> Polygon | None:
        """A block's corners; None where it has none, or where they are no quadrangle.

        Textract gives them from the text's own top left, clockwise; those that run the other way are put in order as
        if the text were level.
        """
        geometry = block.get("Geometry")
        said = geometry.get("Polygon") if isinstance(geometry, dict) else None
        points = tuple(self._point(each) for each in array(said, "Polygon")) if said is not None else ()
        if len(points) != 4:
            return None
        return points if _is_clockwise(points) else ordered(points, 0)

    def _point(self, said: Any) -> Point:
        x, y = (number(member(said, name), name) for name in ("X", "Y"))
        return x * self._width, y * self._height


def _is_clockwise(points: Polygon) -> bool:
    """By the area, which is positive for clockwise ones where y grows downwards."""
    following = (*points[1:], points[0])
    return sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in zip(points, following, strict=True)) > 0
