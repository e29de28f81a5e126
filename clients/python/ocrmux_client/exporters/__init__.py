"""Output formats, one file each behind one port."""

from __future__ import annotations

import enum
from pathlib import PurePath

from ocrmux_client.exporters.base import Exporter
from ocrmux_client.exporters.csv import CsvExporter
from ocrmux_client.exporters.jsonl import JsonlExporter
from ocrmux_client.exporters.md import MarkdownExporter
from ocrmux_client.exporters.txt import TextExporter

__all__ = ["Exporter", "OutputFormat", "exporter_for", "format_for"]


class OutputFormat(enum.Enum):
    """How results are written."""

    JSONL = "jsonl"
    TXT = "txt"
    CSV = "csv"
    MD = "md"


_SUFFIXES = {
    ".jsonl": OutputFormat.JSONL,
    ".ndjson": OutputFormat.JSONL,
    ".txt": OutputFormat.TXT,
    ".csv": OutputFormat.CSV,
    ".md": OutputFormat.MD,
    ".markdown": OutputFormat.MD,
}


def exporter_for(output_format: OutputFormat) -> Exporter:
    """The exporter of this format."""
    exporters: dict[OutputFormat, type[Exporter]] = {
        OutputFormat.JSONL: JsonlExporter,
        OutputFormat.TXT: TextExporter,
        OutputFormat.CSV: CsvExporter,
        OutputFormat.MD: MarkdownExporter,
    }
    return exporters[output_format]()


def format_for(file_name: str) -> OutputFormat:
    """The format that a file's suffix tells; JSONL where it tells none."""
    return _SUFFIXES.get(PurePath(file_name).suffix.lower(), OutputFormat.JSONL)
