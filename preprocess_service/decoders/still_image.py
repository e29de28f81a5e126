"""What the documents of one image have in common."""

from __future__ import annotations

from preprocess_service.decoders.paged_document import PlainPage


class StillImage:
    """A document of one page that is not passed on as it is and holds nothing but Python's objects."""

    page_count = 1

    def plain_page(self, _number: int, /) -> PlainPage | None:
        """None: this format is not passed on."""
        return None

    def close(self) -> None:
        """Nothing is held that Python does not free."""
