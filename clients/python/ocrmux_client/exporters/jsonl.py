"""One JSON object a line, for programs."""

from __future__ import annotations

from ocrmux_client.records import PageRecord


class JsonlExporter:
    """Every record, errors too, as one line."""

    def head(self) -> str:
        """Nothing."""
        return ""

    def piece(self, record: PageRecord) -> str:
        """The record's line."""
        return record.as_line()
